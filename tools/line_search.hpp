#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tools/deadline.hpp"
#include "tools/regex_size.hpp"
#include "tools/window_limits.hpp"

namespace sandbox_worker::tools {

struct RegexProgram;
class WindowedMatch;

/// A match and the whole lines that hold it, as offsets into the text that was searched. Of a short line, up
/// to 1,500 bytes, the match may be said to be the whole.
struct LineHit {
  std::size_t begin;  // of the first line
  std::size_t end;    // of the last line, without its newline
  std::size_t match_begin;
  std::size_t match_end;
};

/// A regular expression (RE2's syntax) that is looked for in lines. A match never crosses a line, unless the
/// pattern has \n or (?s); `^` and `$` stand at the lines' ends, `$` before a carriage return too, which
/// belongs to no line unless the pattern names it. Immutable, so threads share one. Memory is bounded for
/// every pattern.
class LineSearch {
 public:
  /// The error is a sentence for the model, with the nearest form that works where there is one.
  static std::expected<LineSearch, std::string> compile(std::string_view pattern);
  LineSearch(LineSearch&&) noexcept;
  LineSearch& operator=(LineSearch&&) noexcept;
  ~LineSearch();

  /// Whether matches may hold newlines, so that a text should be searched as a whole.
  bool crosses_lines() const noexcept;

  /// Whether it could match somewhere in `text`: false is certain, true is a guess.
  bool may_match(std::string_view text) const;

  /// Bytes that the automaton goes through at once whatever they are, while a cancel waits. Longer lines (and
  /// texts that may be crossed) are searched in pieces if they prove too slow for more.
  std::size_t window() const noexcept;

  /// Bytes that a match can have at most; kEndless: any number.
  std::size_t longest() const noexcept;

 private:
  friend class LineScan;
  struct Engine;
  explicit LineSearch(std::unique_ptr<Engine> engine);

  std::unique_ptr<Engine> engine_;
};

/// Goes through one text, hit by hit, each line at most once. What isn't valid UTF-8 in it is searched as
/// bytes.
class LineScan {
 public:
  /// Of a text that may be crossed, and is only a part of one: matches are looked for in [begin, end), and of
  /// the lines that they are in, those before `given` were given out. What is around has a say in the
  /// matches.
  struct Part {
    std::size_t begin;
    std::size_t end;
    std::size_t given;
  };

  /// The text begins at the beginning of a line; `limits` are those of its file. All must outlive the scan.
  LineScan(const LineSearch& search, std::string_view text, const Deadline& deadline, WindowLimits& limits)
      : LineScan(search, text, deadline, limits, {.begin = 0, .end = text.size(), .given = 0}) {}
  LineScan(const LineSearch& search, std::string_view text, const Deadline& deadline, WindowLimits& limits,
           Part part)
      : engine_(*search.engine_),
        text_(text),
        deadline_(deadline),
        limits_(limits),
        end_(part.end),
        at_(part.begin),
        given_(part.given) {}

  /// None at the end, and soon after the deadline has passed.
  std::optional<LineHit> next();

  /// Up to where lines were given out.
  std::size_t given() const noexcept { return given_; }

  /// Instead of next(), where the text is some of a line: a match in [begin, end) of it.
  std::optional<LineHit> part(std::size_t begin, std::size_t end);

  /// How many matches the line of `hit` has, up to `max`.
  std::size_t count_matches(const LineHit& hit, std::size_t max) const;

 private:
  std::optional<LineHit> next_candidate();
  std::optional<LineHit> next_by_automaton();
  std::optional<LineHit> next_by_line();
  std::optional<LineHit> match_in_line(std::size_t begin, std::size_t end);
  /// The line [begin, end) as the pattern is to see it.
  std::string_view searched(std::size_t begin, std::size_t end) const;
  /// Whether what was found in that line, with a carriage return that it ends in, is a match without it too.
  bool is_sure(std::size_t begin, std::size_t end) const;
  WindowedMatch matcher(const RegexProgram& program);
  /// The program for the whole text.
  const RegexProgram& program();

  const LineSearch::Engine& engine_;
  const std::string_view text_;
  const Deadline& deadline_;
  WindowLimits& limits_;
  const std::size_t end_;
  std::size_t at_;
  std::size_t given_;
  const RegexProgram* program_ = nullptr;
};

}  // namespace sandbox_worker::tools
