#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "tools/ordered_output.hpp"
#include "tools/spill.hpp"

namespace sandbox_worker::tools {

/// Keeps the first lines of a grep, up to a number of code points, and counts the rest. When something
/// doesn't fit, all of it, from the first line on, goes to a file.
class GrepReport {
 public:
  /// `spill` may be null: then the rest is only counted.
  GrepReport(std::size_t max_code_points, SpillStore* spill) : room_(max_code_points), spill_(spill) {}

  void add(const MatchChunk& chunk);

  std::uint64_t lines() const noexcept { return lines_; }
  /// What fitted and, if that isn't all, a last line that says how much more there is and where.
  std::string text() const;

 private:
  void add_file(std::string_view text, const MatchChunk::File& file);
  std::size_t fitting(std::string_view text);
  void overflow();

  std::size_t room_;  // code points
  SpillStore* const spill_;
  std::unique_ptr<SpillFile> file_;
  std::string shown_;
  bool full_ = false;
  bool last_file_counted_ = false;  // among more_files_
  std::uint64_t lines_ = 0;
  std::uint64_t more_lines_ = 0;
  std::uint64_t more_files_ = 0;
};

}  // namespace sandbox_worker::tools
