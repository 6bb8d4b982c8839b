#pragma once

#include <cstdint>
#include <deque>
#include <expected>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "tools/unique_fd.hpp"

namespace sandbox_worker::tools {

class SpillStore;

/// Who gives the space of older files back when a new one needs it, which takes the kernel up to tens of
/// milliseconds: the thread that writes, or one that is started for it and competes for a processor.
enum class Freeing { by_writer, aside };

/// The whole output of one call, in a private file. One thread at a time. Lives no longer than its store.
class SpillFile {
 public:
  ~SpillFile();
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;

  /// Keeps what fits below the limits; the rest is dropped, and complete() is false from then on.
  void append(std::string_view bytes);
  const std::string& path() const noexcept { return path_; }
  bool complete() const noexcept { return complete_; }

 private:
  friend class SpillStore;
  SpillFile(SpillStore& store, UniqueFd fd, std::string path, Freeing freeing);

  SpillStore& store_;
  const Freeing freeing_;
  UniqueFd fd_;
  std::string path_;
  std::uint64_t size_ = 0;
  bool complete_ = true;
};

/// A directory of such files: 64 MB a file, 512 MB in all, the oldest dropped first. Thread-safe. The
/// destructor removes the files, and the directory where nothing else is in it.
class SpillStore {
 public:
  struct Limits {
    std::uint64_t per_file = 64ULL << 20U;
    std::uint64_t in_all = 512ULL << 20U;
  };

  /// Makes `directory` (0700), or takes over what an earlier process left in it. The error is a sentence for
  /// the operator.
  static std::expected<std::unique_ptr<SpillStore>, std::string> open(std::string directory, Limits limits);
  static std::expected<std::unique_ptr<SpillStore>, std::string> open(std::string directory) {
    return open(std::move(directory), Limits());
  }
  ~SpillStore();
  SpillStore(const SpillStore&) = delete;
  SpillStore& operator=(const SpillStore&) = delete;

  const std::string& directory() const noexcept { return directory_; }

  /// Removes the files, and the directory where nothing else is in it; for an end without destructors.
  void remove();

  /// A new file, named after `tool`; null when none can be made (disk full): the caller then does without.
  std::unique_ptr<SpillFile> create(std::string_view tool, Freeing freeing);

 private:
  friend class SpillFile;
  SpillStore(std::string directory, Limits limits);
  void adopt();
  bool reserve(const std::string& path, std::uint64_t bytes, Freeing freeing);
  bool take_room(const std::string& path, std::uint64_t bytes, std::vector<UniqueFd>& dropped);
  UniqueFd drop_oldest();

  struct Entry {
    std::string path;
    std::uint64_t size = 0;
  };
  const std::string directory_;
  const Limits limits_;
  std::mutex mutex_;           // guards everything below
  std::deque<Entry> entries_;  // oldest first
  std::uint64_t total_ = 0;
  std::future<void> freeing_;  // of what was dropped last
  unsigned next_ = 1;
};

}  // namespace sandbox_worker::tools
