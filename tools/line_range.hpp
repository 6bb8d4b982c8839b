#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <stop_token>
#include <string>

namespace sandbox_worker::tools {

/// Lines `first` to `last` of a file, 1-based, with their line ends. The file is read once, in blocks, and
/// not beyond the last line that is asked for.
struct LineRange {
  std::int64_t first = 1;
  std::int64_t last = 0;  // 0: to the end
};

struct Lines {
  std::string text;  // at most `limit` bytes; empty when the range doesn't fit
  std::int64_t last_fitting =
      0;  // the last line of the range that fits in `limit`; first - 1 when not even one does
  bool fits = true;
  std::int64_t lines_in_file = 0;  // known when the range begins behind the end of the file
};

/// The error is an errno; ECANCELED when asked to stop.
std::expected<Lines, int> read_lines(int fd, LineRange range, std::size_t limit, const std::stop_token& stop);

/// How many lines a file has; a last one without a line end counts.
struct LineCount {
  std::int64_t lines = 0;
  std::int64_t first_that_fit = 0;  // whole lines within the first `limit` bytes
  bool complete = true;             // false: the file goes on, nobody wants to wait for the rest
};
std::expected<LineCount, int> count_lines(int fd, std::size_t limit, const std::stop_token& stop);

}  // namespace sandbox_worker::tools
