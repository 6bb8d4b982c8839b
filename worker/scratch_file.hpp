#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <mutex>
#include <string>
#include <string_view>

#include "tools/unique_fd.hpp"

namespace sandbox_worker::worker {

/// A file without a name, for what waits and has no room in memory; it goes with the process. It is made when
/// it is needed first. Any thread. Errors are sentences.
class ScratchFile {
 public:
  struct Range {
    std::uint64_t offset = 0;
    std::size_t size = 0;
  };

  /// `directory`: private. `what` waits in it, for the errors: "results". `limit`: bytes in use at a time.
  ScratchFile(std::string directory, std::string what, std::uint64_t limit)
      : directory_(std::move(directory)), what_(std::move(what)), limit_(limit) {}

  /// Room for so many bytes. It touches no data. Give it back with release().
  std::expected<Range, std::string> reserve(std::size_t size);
  /// Fills all of `range`.
  std::expected<void, std::string> write(Range range, std::string_view bytes);
  std::expected<void, std::string> append_to(std::string& text, Range range) const;
  /// The room counts as free from now on.
  void release(Range range);
  /// Gives the disk's room back, of a range that was released. It takes its time for a large one.
  void punch_hole(Range range);

  std::uint64_t bytes() const;

 private:
  std::expected<void, std::string> open();
  std::string sentence(const char* verb, int error) const;

  const std::string directory_;
  const std::string what_;
  const std::uint64_t limit_;

  mutable std::mutex mutex_;  // guards what is below; the descriptor is constant once it is there
  tools::UniqueFd fd_;
  std::uint64_t bytes_ = 0;
  std::uint64_t end_ = 0;  // ranges are never used again; what is dropped becomes a hole
};

}  // namespace sandbox_worker::worker
