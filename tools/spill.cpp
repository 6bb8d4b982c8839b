#include "tools/spill.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

namespace sandbox_worker::tools {

SpillFile::SpillFile(SpillStore& store, UniqueFd fd, std::string path, Freeing freeing)
    : store_(store), freeing_(freeing), fd_(std::move(fd)), path_(std::move(path)) {}

SpillFile::~SpillFile() = default;

void SpillFile::append(std::string_view bytes) {
  if (!complete_) return;
  const std::uint64_t room = store_.limits_.per_file - size_;
  if (bytes.size() > room) {
    complete_ = false;
    bytes = bytes.substr(0, static_cast<std::size_t>(room));
  }
  if (bytes.empty()) return;
  if (!store_.reserve(path_, bytes.size(), freeing_)) {
    complete_ = false;
    return;
  }
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      complete_ = false;
      return;
    }
    size_ += static_cast<std::uint64_t>(written);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

SpillStore::SpillStore(std::string directory, Limits limits)
    : directory_(std::move(directory)), limits_(limits) {}

std::expected<std::unique_ptr<SpillStore>, std::string> SpillStore::open(std::string directory,
                                                                         Limits limits) {
  const auto refuse = [&](std::string_view why) {
    return std::unexpected(fmt::format("spill directory {}: {}", directory, why));
  };
  std::error_code failed;
  const auto parent = std::filesystem::path(directory).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, failed);
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return refuse(std::strerror(errno));
  struct stat status{};
  if (::lstat(directory.c_str(), &status) != 0) return refuse(std::strerror(errno));
  if (!S_ISDIR(status.st_mode)) return refuse("not a directory");
  if (status.st_uid != ::geteuid()) return refuse("owned by somebody else");
  if (::chmod(directory.c_str(), 0700) != 0) return refuse(std::strerror(errno));
  std::unique_ptr<SpillStore> store(new SpillStore(std::move(directory), limits));
  store->adopt();
  return store;
}

/// What a process before us left there is ours from now on: readable, counted, and removed at the end.
void SpillStore::adopt() {
  std::vector<std::pair<std::filesystem::file_time_type, Entry>> found;
  std::error_code failed;
  for (const auto& file : std::filesystem::directory_iterator(directory_, failed)) {
    std::error_code gone;
    if (!file.is_regular_file(gone) || file.is_symlink(gone)) continue;
    found.emplace_back(file.last_write_time(gone), Entry{.path = file.path(), .size = file.file_size(gone)});
    if (gone) found.pop_back();
  }
  std::ranges::sort(found, {}, [](const auto& file) { return file.first; });
  for (auto& [time, entry] : found) {
    total_ += entry.size;
    entries_.push_back(std::move(entry));
  }
}

SpillStore::~SpillStore() {
  remove();
}

void SpillStore::remove() {
  const std::lock_guard lock(mutex_);
  for (const auto& entry : entries_) ::unlink(entry.path.c_str());
  ::rmdir(directory_.c_str());
}

std::unique_ptr<SpillFile> SpillStore::create(std::string_view tool, Freeing freeing) {
  const std::lock_guard lock(mutex_);
  for (int attempt = 0; attempt < 1000; ++attempt) {
    std::string path = fmt::format("{}/{}-{}.txt", directory_, tool, next_++);
    UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd && errno == EEXIST) continue;
    if (!fd) return nullptr;
    entries_.push_back({.path = path, .size = 0});
    return std::unique_ptr<SpillFile>(new SpillFile(*this, std::move(fd), std::move(path), freeing));
  }
  return nullptr;
}

/// The file has no name afterwards, and its space is free once the descriptor is closed too.
UniqueFd SpillStore::drop_oldest() {
  const Entry& oldest = entries_.front();
  UniqueFd file(::open(oldest.path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  ::unlink(oldest.path.c_str());
  total_ -= oldest.size;
  entries_.pop_front();
  return file;
}

/// Drops older files until `bytes` more of `path` fit; false when the file itself was dropped.
bool SpillStore::take_room(const std::string& path, std::uint64_t bytes, std::vector<UniqueFd>& dropped) {
  const auto named = [&](const Entry& entry) { return entry.path == path; };
  while (total_ + bytes > limits_.in_all && !entries_.empty()) {
    if (named(entries_.front())) return false;
    dropped.push_back(drop_oldest());
  }
  const auto entry = std::find_if(entries_.begin(), entries_.end(), named);
  if (entry == entries_.end()) return false;
  entry->size += bytes;
  total_ += bytes;
  return true;
}

/// As take_room; the lock isn't held while the dropped files are freed by the writer.
bool SpillStore::reserve(const std::string& path, std::uint64_t bytes, Freeing freeing) {
  std::vector<UniqueFd> dropped;
  const std::lock_guard lock(mutex_);
  const bool fits = take_room(path, bytes, dropped);
  if (freeing == Freeing::by_writer || dropped.empty()) return fits;
  try {
    freeing_ = std::async(std::launch::async, [files = std::move(dropped)]() mutable { files.clear(); });
  } catch (const std::system_error&) {
    return fits;  // no thread to be had: freed here
  }
  return fits;
}

}  // namespace sandbox_worker::tools
