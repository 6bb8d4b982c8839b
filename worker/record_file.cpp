#include "worker/record_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "worker/record_format.hpp"

namespace sandbox_worker::worker {
namespace {

/// Some 4,000 calls that begin while the disk is full.
constexpr off_t kReserve = 256 * 1024;

/// What can be done without leaves so much free.
constexpr std::uint64_t kKeptFree = 512 * 1024;

constexpr mode_t kPrivate = 0600;

std::unexpected<std::string> failed(std::string_view path, std::string_view what, int error) {
  return std::unexpected(fmt::format("{}: {}: {}", path, what, std::strerror(error)));
}

/// 0, or the error.
int write_at(int fd, std::string_view bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return count < 0 ? errno : EIO;
    offset += static_cast<std::uint64_t>(count);
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return 0;
}

}  // namespace

RecordFile::RecordFile(tools::UniqueFd fd, std::string path, std::uint64_t size)
    : fd_(std::move(fd)), path_(std::move(path)), size_(size) {}

std::expected<RecordFile, std::string> RecordFile::replace(const std::string& path,
                                                           std::string_view records) {
  const std::string next = path + ".new";
  ::unlink(next.c_str());
  tools::UniqueFd fd(::open(next.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kPrivate));
  if (!fd) return failed(next, "make", errno);
  const auto give_up = [&](std::string_view what, int error) {
    ::unlink(next.c_str());
    return failed(next, what, error);
  };
  if (const int error = write_at(fd.get(), records, 0); error != 0) return give_up("write", error);
  // Not every file system can; then a full disk is told when it comes to it.
  static_cast<void>(
      ::fallocate(fd.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(records.size()) * 2 + kReserve));
  if (::rename(next.c_str(), path.c_str()) != 0) return give_up("rename", errno);
  return RecordFile(std::move(fd), path, records.size());
}

std::expected<void, std::string> RecordFile::append(std::uint8_t type, std::string_view payload) {
  std::string bytes;
  append_record(bytes, size_, type, payload);
  if (const int error = write_at(fd_.get(), bytes, size_); error != 0) return failed(path_, "write", error);
  size_ += bytes.size();
  return {};
}

std::expected<std::string, std::string> read_private_file(const std::string& path, std::size_t limit) {
  const tools::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return errno == ENOENT ? std::expected<std::string, std::string>("") : failed(path, "open", errno);
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return failed(path, "stat", errno);
  if (!S_ISREG(info.st_mode) || info.st_uid != ::geteuid()) {
    return std::unexpected(path + ": not a plain file of this user");
  }
  if (info.st_size < 0 || static_cast<std::size_t>(info.st_size) > limit) {
    return std::unexpected(fmt::format("{}: larger than {} bytes", path, limit));
  }
  std::string bytes(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::read(fd.get(), bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed(path, "read", errno);
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  bytes.resize(done);
  return bytes;
}

bool has_room(const std::string& directory, std::size_t bytes) {
  struct statvfs info{};
  // One without a limit of its own says 0 blocks.
  if (::statvfs(directory.c_str(), &info) != 0 || info.f_blocks == 0) return true;
  return std::uint64_t{info.f_bavail} * info.f_frsize > bytes + kKeptFree;
}

std::expected<void, std::string> write_private_file(const std::string& path, std::string_view bytes) {
  const tools::UniqueFd fd(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kPrivate));
  if (!fd) return failed(path, "make", errno);
  if (const int error = write_at(fd.get(), bytes, 0); error != 0) {
    ::unlink(path.c_str());
    return failed(path, "write", error);
  }
  return {};
}

}  // namespace sandbox_worker::worker
