#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "tools/deadline.hpp"
#include "tools/line_search.hpp"

namespace sandbox_worker::tools {

/// One hit in a text; the views are valid during the call.
struct FileHit {
  std::uint64_t line;       // of the first of the lines, from 1
  std::string_view lines;   // whole, without the last newline
  std::size_t match_begin;  // in `lines`
  std::size_t match_end;
  std::size_t more = 0;  // further matches in it, if it is one long line; at most kMaxCounted
  // Of a line that was taken in pieces, `lines` is one piece:
  std::uint64_t before = 0;  // bytes of the line before it
  bool open_end = false;     // there is more of the line behind it
};

/// Lines of more bytes have their matches counted, up to so many.
inline constexpr std::size_t kLongLine = 2000;
inline constexpr std::size_t kMaxCounted = 100;

/// Searches a text that comes in pieces. A piece ends where the buffer of its caller does, so a line may take
/// several; then what may still be the beginning of a match is kept and seen again with the next piece.
class TextSearch {
 public:
  using OnHit = std::function<void(const FileHit&)>;

  /// All must outlive it.
  TextSearch(const LineSearch& search, const Deadline& deadline, const OnHit& on_hit);

  /// Whether `text` should grow before it is searched, for lines or matches to be whole.
  bool wants_more(std::string_view text) const;

  /// `text`: what the last call left, and what follows it. Gives how many bytes from its beginning on are
  /// done with. Of a line at most one hit is given. Returns early when the deadline has passed.
  std::size_t run(std::string_view text, bool last);

  /// Longer matches than of so many bytes may be missing so far, as they may have been cut; kEndless: none
  /// is.
  std::size_t sure() const noexcept { return limits_.sure; }

 private:
  std::size_t run_lines();
  std::size_t run_long_line(std::string_view line, bool open);
  std::size_t end_over_lines() const;
  std::size_t run_over_lines();

  std::size_t block_size(std::string_view text) const;
  void run_block(std::size_t begin, std::size_t size);
  void give(LineScan& scan, const LineHit& hit, std::string_view text, std::size_t begin, bool open);
  void may_have_cut(std::size_t overlap);
  void count_to(std::size_t to);

  const LineSearch& search_;
  const Deadline& deadline_;
  const OnHit& on_hit_;
  const std::size_t block_;  // bytes between two looks at the deadline
  WindowLimits limits_;

  std::string_view text_;
  bool last_ = false;
  std::size_t counted_ = 0;  // bytes of `text_` whose newlines are in `line_`
  std::uint64_t line_ = 1;

  std::uint64_t before_ = 0;    // bytes of the line that `text_` begins in the middle of
  std::size_t seen_ = 0;        // bytes at the beginning of `text_` in which no match begins
  bool line_is_given_ = false;  // a match was found in that line
  std::size_t given_ = 0;       // over lines: bytes of `text_` whose lines were given out
};

}  // namespace sandbox_worker::tools
