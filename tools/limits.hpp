#pragma once

#include <chrono>
#include <cstddef>

namespace sandbox_worker::tools {

/// Unicode code points in a result of bash, glob or grep; the rest goes to a spill file. The hosted tools use
/// the same number, so agents are used to it.
inline constexpr std::size_t kMaxResultCodePoints = 100'000;

/// Bounds that an operator can set; the defaults are those of the flags.
struct Limits {
  std::chrono::milliseconds default_tool_timeout = std::chrono::seconds(120);  // bash without timeout_ms
  std::chrono::milliseconds max_tool_timeout = std::chrono::minutes(30);  // the most that timeout_ms gets
  std::chrono::milliseconds search_timeout = std::chrono::seconds(60);    // glob and grep, each
  std::size_t max_read_bytes = 256 * 1024;        // read: text of a whole file or of a range
  std::size_t max_edit_bytes = 16 * 1024 * 1024;  // edit: size of a file before and after
};

}  // namespace sandbox_worker::tools
