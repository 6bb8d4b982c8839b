#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "tools/unique_fd.hpp"

namespace sandbox_worker::worker {

/// A private file of records that is only added to (record_format), and replaced whole when it has grown.
/// Nothing is synced: what was written survives this process, not the machine. Every call blocks for as long
/// as a copy into the page cache takes. Errors are sentences that name the file.
class RecordFile {
 public:
  /// Puts a new file with `records` in the place of whatever is there, in one step, and reserves room for as
  /// much again and a little more, so that a disk which fills up later doesn't stop the small records.
  static std::expected<RecordFile, std::string> replace(const std::string& path, std::string_view records);

  std::expected<void, std::string> append(std::uint8_t type, std::string_view payload);
  std::uint64_t size() const { return size_; }

 private:
  RecordFile(tools::UniqueFd fd, std::string path, std::uint64_t size);

  tools::UniqueFd fd_;
  std::string path_;
  std::uint64_t size_;  // of whole records; a torn one behind them is overwritten by the next
};

/// All of a small private file: empty when there is none. An error when it is not a plain file of ours, or
/// larger than `limit`.
std::expected<std::string, std::string> read_private_file(const std::string& path, std::size_t limit);

/// Whether so many bytes more still leave some room in the file system of `directory`, for what must be
/// written.
bool has_room(const std::string& directory, std::size_t bytes);

/// Makes a private file that must not be there yet.
std::expected<void, std::string> write_private_file(const std::string& path, std::string_view bytes);

}  // namespace sandbox_worker::worker
