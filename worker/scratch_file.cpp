#include "worker/scratch_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace sandbox_worker::worker {

std::string ScratchFile::sentence(const char* verb, int error) const {
  return fmt::format("can't {} the file of waiting {}: {}", verb, what_, std::strerror(error));
}

/// A name in a directory. Without O_TMPFILE (overlayfs of older kernels) the name exists for a moment.
std::expected<void, std::string> ScratchFile::open() {
  if (fd_) return {};
  fd_ = tools::UniqueFd(::open(directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (fd_) return {};
  std::string path = directory_ + "/waiting-XXXXXX";
  fd_ = tools::UniqueFd(::mkostemp(path.data(), O_CLOEXEC));
  if (!fd_) return std::unexpected(sentence("make", errno));
  ::unlink(path.c_str());
  return {};
}

std::expected<ScratchFile::Range, std::string> ScratchFile::reserve(std::size_t size) {
  const std::lock_guard lock(mutex_);
  if (auto opened = open(); !opened) return std::unexpected(std::move(opened.error()));
  if (size > limit_ - bytes_) {
    return std::unexpected(fmt::format("{} bytes of {} wait already", bytes_, what_));
  }
  const Range range{end_, size};
  bytes_ += size;
  end_ += size;
  return range;
}

std::expected<void, std::string> ScratchFile::write(Range range, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto written = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(range.offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return std::unexpected(sentence("write", written < 0 ? errno : ENOSPC));
    bytes.remove_prefix(static_cast<std::size_t>(written));
    range.offset += static_cast<std::uint64_t>(written);
  }
  return {};
}

std::expected<void, std::string> ScratchFile::append_to(std::string& text, Range range) const {
  std::size_t at = text.size();
  text.resize(at + range.size);
  while (at < text.size()) {
    const auto got = ::pread(fd_.get(), text.data() + at, text.size() - at, static_cast<off_t>(range.offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return std::unexpected(sentence("read", got < 0 ? errno : EIO));
    at += static_cast<std::size_t>(got);
    range.offset += static_cast<std::uint64_t>(got);
  }
  return {};
}

void ScratchFile::release(Range range) {
  const std::lock_guard lock(mutex_);
  bytes_ -= range.size;
}

void ScratchFile::punch_hole(Range range) {
  // A file system without holes keeps the bytes until the end: that costs room, and nothing else.
  (void)::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(range.offset),
                    static_cast<off_t>(range.size));
}

std::uint64_t ScratchFile::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace sandbox_worker::worker
