#pragma once

#include <re2/re2.h>

#include <cstddef>
#include <memory>
#include <string_view>

#include "tools/deadline.hpp"
#include "tools/window_limits.hpp"

namespace sandbox_worker::tools {

/// A compiled expression, and how much text it may be given at once when nothing is known about the text: RE2
/// can't be interrupted, and takes up to 10 ns for each byte and instruction.
struct RegexProgram {
  std::unique_ptr<const RE2> regex;
  std::size_t window = 0;  // bytes

  /// `max_steps`: bytes times instructions.
  RegexProgram(std::unique_ptr<const RE2> compiled, std::size_t max_steps);
};

/// Looks for an expression in a text of any length, and for a cancel again and again. The text is searched in
/// windows that overlap by half. When none of them has a match that could be longer than half a window,
/// larger ones are tried, for as long as they take little time: few texts are as slow as the worst.
class WindowedMatch {
 public:
  /// `longest`: bytes that a match can have. All must outlive it.
  WindowedMatch(const RegexProgram& program, std::size_t longest, const Deadline& deadline,
                WindowLimits& limits)
      : program_(program), longest_(longest), deadline_(deadline), limits_(limits) {}

  /// Looks for a match in [begin, end) of `text`, which may look at what is around it. Fills in `found` if
  /// `located`.
  bool find(std::string_view text, std::size_t begin, std::size_t end, std::string_view& found, bool located);

 private:
  struct Range {
    std::string_view text;
    std::size_t begin;
    std::size_t end;
    bool located;
  };
  struct Pass;
  Pass search(std::size_t window, const Range& range);
  bool note_slow(std::size_t window);
  bool match(const Range& range, std::size_t from, std::size_t to, re2::StringPiece& place) const;
  /// The size of the windows that may follow; no more than `window` where none may.
  std::size_t larger(const Pass& pass, std::size_t window, const Range& range) const;

  const RegexProgram& program_;
  const std::size_t longest_;
  const Deadline& deadline_;
  WindowLimits& limits_;
};

}  // namespace sandbox_worker::tools
