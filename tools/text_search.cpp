#include "tools/text_search.hpp"

#include <algorithm>
#include <cstring>

#include "tools/newlines.hpp"
#include "tools/utf8_step.hpp"

namespace sandbox_worker::tools {
namespace {

// Text between two looks at the deadline, unless a pattern's window is smaller.
constexpr std::size_t kMaxBlock = 64 * 1024;
// A line of more bytes is taken in pieces; the buffer is bounded.
constexpr std::size_t kMaxLine = 1024 * 1024;
// Bytes that are seen at once where lines may be crossed; every thread of a search has so many.
constexpr std::size_t kMaxOverLines = 4 * 1024 * 1024;
// What is seen twice where a text is cut: no match of up to so many bytes is missed.
constexpr std::size_t kOverlap = 64 * 1024;
// The same over lines, where matches are longer and pieces larger.
constexpr std::size_t kOverlapOverLines = 1024 * 1024;
constexpr std::size_t kLongestCharacter = 4;

// Where the character that holds `at` begins; `at` itself where there is none.
std::size_t character_begin(std::string_view text, std::size_t at) {
  for (std::size_t back = 0; back < kLongestCharacter && back <= at; ++back) {
    if ((static_cast<unsigned char>(text[at - back]) & 0xC0) != 0x80) return at - back;
  }
  return at;
}

// 0: there is none.
std::size_t behind_last_newline(std::string_view text) {
  const void* const newline = ::memrchr(text.data(), '\n', text.size());
  return newline == nullptr ? 0
                            : static_cast<std::size_t>(static_cast<const char*>(newline) - text.data()) + 1;
}

}  // namespace

TextSearch::TextSearch(const LineSearch& search, const Deadline& deadline, const OnHit& on_hit)
    : search_(search), deadline_(deadline), on_hit_(on_hit), block_(std::min(search.window(), kMaxBlock)) {}

bool TextSearch::wants_more(std::string_view text) const {
  // A buffer that holds whole characters isn't filled to its last byte.
  const std::size_t most = (search_.crosses_lines() ? kMaxOverLines : kMaxLine) - kLongestCharacter;
  return text.size() < most && (search_.crosses_lines() || behind_last_newline(text) == 0);
}

std::size_t TextSearch::run(std::string_view text, bool last) {
  text_ = text;
  last_ = last;
  if (text.empty()) return 0;
  const std::size_t done = search_.crosses_lines() ? run_over_lines() : run_lines();
  if (last) return done;
  count_to(done);
  counted_ -= done;
  return done;
}

std::size_t TextSearch::run_lines() {
  const std::size_t whole = last_ ? text_.size() : behind_last_newline(text_);
  std::size_t at = 0;
  if (before_ > 0 || whole == 0) {
    const auto newline = text_.find('\n');
    const bool open = newline == std::string_view::npos && !last_;
    at = run_long_line(text_.substr(0, newline), open);
    if (open) return at;
    at = std::min(at + 1, text_.size());
  }
  while (at < whole && !deadline_.passed()) {
    const std::size_t size = block_size(text_.substr(at, whole - at));
    run_block(at, size);
    at += size;
  }
  return whole;
}

// `line` is what there is of a line that doesn't fit into a piece, `open` if it goes on.
std::size_t TextSearch::run_long_line(std::string_view line, bool open) {
  if (!line_is_given_ && !deadline_.passed()) {
    // What is behind a match may have a say in it, so at an open end a character is left for that.
    const std::size_t end = open ? character_begin(line, line.size() - kLongestCharacter) : line.size();
    LineScan scan(search_, line, deadline_, limits_);
    if (const auto hit = scan.part(seen_, end)) {
      line_is_given_ = true;
      give(scan, *hit, line, 0, open);
    }
  }
  if (!open) {
    before_ = seen_ = 0;
    line_is_given_ = false;
    return line.size();
  }
  std::size_t done = line.size();
  if (!line_is_given_) {
    may_have_cut(kOverlap);
    done = character_begin(line, line.size() - kOverlap);
    seen_ = utf8_step(line, done).length;
  }
  before_ += done;
  return done;
}

// Whole lines, but for one that is too long for that; with something behind them, as above.
std::size_t TextSearch::end_over_lines() const {
  if (last_) return text_.size();
  const std::size_t whole = behind_last_newline(text_.substr(0, text_.size() - 1));
  const bool long_line = whole < text_.size() - kOverlapOverLines;
  return long_line ? character_begin(text_, text_.size() - kLongestCharacter) : whole;
}

std::size_t TextSearch::run_over_lines() {
  const std::size_t end = end_over_lines();
  if (!deadline_.passed() && search_.may_match(text_)) {
    LineScan scan(search_, text_, deadline_, limits_, {.begin = seen_, .end = end, .given = given_});
    while (const auto hit = scan.next()) {
      give(scan, *hit, text_, 0, !last_ && hit->end == text_.size());
      if (deadline_.has_cut()) break;
    }
    given_ = std::max(given_, scan.given());
  }
  if (last_) return text_.size();
  may_have_cut(kOverlapOverLines);
  std::size_t done = behind_last_newline(text_.substr(0, end - kOverlapOverLines));
  const bool in_line = done == 0;
  if (in_line) done = character_begin(text_, end - kOverlapOverLines);
  seen_ = in_line ? utf8_step(text_, done).length : 0;
  before_ = in_line ? before_ + done : 0;
  given_ = std::max(given_, done) - done;
  return done;
}

std::size_t TextSearch::block_size(std::string_view text) const {
  if (text.size() <= block_) return text.size();
  const auto newline = text.rfind('\n', block_ - 1);
  return newline != std::string_view::npos ? newline + 1
                                           : std::min(text.find('\n', block_), text.size() - 1) + 1;
}

void TextSearch::run_block(std::size_t begin, std::size_t size) {
  const std::string_view block = text_.substr(begin, size);
  LineScan scan(search_, block, deadline_, limits_);
  while (const auto hit = scan.next()) {
    give(scan, *hit, block, begin, false);
    if (deadline_.has_cut()) return;
  }
}

// `text`, which begins at `begin` of `text_`, is what was scanned.
void TextSearch::give(LineScan& scan, const LineHit& hit, std::string_view text, std::size_t begin,
                      bool open) {
  count_to(begin + hit.begin);
  FileHit found{.line = line_,
                .lines = text.substr(hit.begin, hit.end - hit.begin),
                .match_begin = hit.match_begin - hit.begin,
                .match_end = hit.match_end - hit.begin,
                .more = 0,
                .before = begin + hit.begin == 0 ? before_ : 0,
                .open_end = open};
  if (found.lines.size() > kLongLine && !search_.crosses_lines())
    found.more = std::max<std::size_t>(scan.count_matches(hit, kMaxCounted + 1), 1) - 1;
  on_hit_(found);
}

void TextSearch::may_have_cut(std::size_t overlap) {
  const std::size_t sure = overlap - 2 * kLongestCharacter;
  if (search_.longest() > sure) limits_.sure = std::min(limits_.sure, sure);
}

// Lines are only counted once a hit asks for its number.
void TextSearch::count_to(std::size_t to) {
  if (to <= counted_) return;
  line_ += count_newlines(text_.substr(counted_, to - counted_));
  counted_ = to;
}

}  // namespace sandbox_worker::tools
