#include "worker/result_store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "tools/offload.hpp"
#include "worker/limits.hpp"

namespace sandbox_worker::worker {

namespace asio = boost::asio;
using Outcome = std::expected<std::string, std::string>;

namespace {

std::string sentence(const char* what, int error) {
  return fmt::format("{} the file of waiting results: {}", what, std::strerror(error));
}

/// Empty, or what went wrong.
std::string write_all(int fd, std::string_view bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const auto written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return sentence("can't write", written < 0 ? errno : ENOSPC);
    bytes.remove_prefix(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return {};
}

std::string append_from(int fd, std::string& to, std::size_t size, std::uint64_t offset) {
  std::size_t at = to.size();
  to.resize(at + size);
  while (at < to.size()) {
    const auto got = ::pread(fd, to.data() + at, to.size() - at, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return sentence("can't read", got < 0 ? errno : EIO);
    at += static_cast<std::size_t>(got);
    offset += static_cast<std::uint64_t>(got);
  }
  return {};
}

}  // namespace

ResultStore::ResultStore(asio::any_io_executor pool, std::string directory, Limits limits)
    : pool_(std::move(pool)), directory_(std::move(directory)), limits_(limits) {}

ResultStore::Kept ResultStore::keep(std::string text) {
  Kept kept;
  kept.size_ = text.size();
  memory_bytes_ += text.size();
  kept.text_ = std::move(text);
  return kept;
}

asio::awaitable<std::expected<ResultStore::Kept, std::string>> ResultStore::put(std::string text) {
  if (memory_bytes_ + text.size() <= limits_.memory) co_return keep(std::move(text));
  if (auto opened = open_file(); !opened) co_return std::unexpected(opened.error());
  if (file_bytes_ + text.size() > limits_.file) {
    co_return std::unexpected(fmt::format("{} bytes of results wait already", file_bytes_));
  }
  Kept kept;
  kept.size_ = text.size();
  kept.text_ = Kept::Place{file_end_};
  file_bytes_ += text.size();
  file_end_ += text.size();
  auto failed =
      co_await tools::offload(pool_, [file = file_, bytes = std::move(text), offset = file_end_ - kept.size_](
                                         std::stop_token) { return write_all(file->get(), bytes, offset); });
  if (failed.empty()) co_return kept;
  drop(kept);
  co_return std::unexpected(std::move(failed));
}

asio::awaitable<Outcome> ResultStore::join(std::vector<const Kept*> kept, std::string before,
                                           std::string after) {
  struct Source {
    const std::string* text;
    std::uint64_t offset;
    std::size_t size;
  };
  std::vector<Source> sources;
  std::size_t size = before.size() + after.size() + kept.size();
  bool on_disk = false;
  for (const Kept* one : kept) {
    const auto* place = std::get_if<Kept::Place>(&one->text_);
    sources.push_back({std::get_if<std::string>(&one->text_), place ? place->offset : 0, one->size_});
    size += one->size_;
    on_disk = on_disk || place;
  }
  const auto work = [file = file_, sources = std::move(sources), before = std::move(before),
                     after = std::move(after), size](std::stop_token) -> Outcome {
    std::string whole;
    whole.reserve(size);
    whole += before;
    for (const auto& source : sources) {
      if (&source != &sources.front()) whole += ',';
      if (source.text) {
        whole += *source.text;
      } else if (auto failed = append_from(file->get(), whole, source.size, source.offset); !failed.empty()) {
        return std::unexpected(std::move(failed));
      }
    }
    whole += after;
    return whole;
  };
  if (!on_disk && size < kMaxInlineBytes) co_return work({});
  co_return co_await tools::offload(pool_, work);
}

void ResultStore::drop(Kept& kept) {
  if (const auto* place = std::get_if<Kept::Place>(&kept.text_)) {
    file_bytes_ -= kept.size_;
    asio::post(pool_, [file = file_, offset = place->offset, size = kept.size_] {
      // A file system without holes keeps the bytes until the end: that costs room, and nothing else.
      (void)::fallocate(file->get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                        static_cast<off_t>(size));
    });
  } else {
    memory_bytes_ -= kept.size_;
  }
  kept = Kept();
}

/// A name in a directory; no data is touched. Without O_TMPFILE (overlayfs of older kernels) the name exists
/// for a moment.
std::expected<void, std::string> ResultStore::open_file() {
  if (file_) return {};
  tools::UniqueFd fd(::open(directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!fd) {
    std::string path = directory_ + "/results-XXXXXX";
    fd = tools::UniqueFd(::mkostemp(path.data(), O_CLOEXEC));
    if (!fd) return std::unexpected(sentence("can't make", errno));
    ::unlink(path.c_str());
  }
  file_ = std::make_shared<const tools::UniqueFd>(std::move(fd));
  return {};
}

}  // namespace sandbox_worker::worker
