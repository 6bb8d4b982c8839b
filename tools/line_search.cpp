#include "tools/line_search.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <cstring>
#include <mutex>

#include "tools/byte_finder.hpp"
#include "tools/literals.hpp"
#include "tools/regex_error.hpp"
#include "tools/regex_size.hpp"
#include "tools/regex_tree.hpp"
#include "tools/utf8_step.hpp"
#include "tools/windowed_match.hpp"

namespace sandbox_worker::tools {
namespace {

constexpr std::size_t npos = std::string_view::npos;

// Program and automata of one expression. RE2's own default, which is enough for alternations of thousands of
// words; twice that (text and bytes) is what a search may take.
constexpr std::int64_t kMaxMemory = 8 << 20;
// RE2 can't be interrupted while it compiles, which takes the square of the number of optional parts: 60 ms
// for so many, 6 s for ten times as many. No pattern is that long on purpose.
constexpr std::size_t kMaxPattern = 16 * 1024;
constexpr std::size_t kMaxOptionalParts = 5000;
// Its compiler takes some 400 bytes and 3 us for an instruction. 64 times \pL is possible.
constexpr std::size_t kMaxProgram = 26'000;
// Its parser keeps the hundreds of ranges of each Unicode class that is written, some 30 KB, before anything
// is weighed.
constexpr std::size_t kMaxProperties = 64;
// For patterns that were not understood or look too large: RE2 gives up on those before they cost much.
constexpr std::int64_t kMaxMemoryUnseen = 512 << 10;

// Steps of an automaton that is simulated state by state, as RE2 does when its memory is used up: at most one
// for each byte and instruction, of up to 10 ns, 20 on a slow machine, so a window takes 40 to 80 ms. Others
// take 1 ns a byte.
constexpr std::size_t kMaxSteps = 4'000'000;

// Where a match is says which part of a line to show; shorter ones are shown whole, and looking twice is
// saved.
constexpr std::size_t kMaxUnlocated = 1500;

re2::StringPiece piece(std::string_view text) {
  return {text.data(), text.size()};
}

RE2::Options options_for(RE2::Options::Encoding encoding, bool crosses_lines) {
  RE2::Options options;
  options.set_encoding(encoding);
  options.set_never_nl(!crosses_lines);
  options.set_never_capture(true);
  options.set_log_errors(false);
  options.set_max_mem(kMaxMemory);
  return options;
}

// Makes ^ and $ stand at each line, and $ before a carriage return.
std::string with_line_ends(std::string_view pattern, const std::vector<std::size_t>& line_ends) {
  std::string out = "(?m)";
  std::size_t done = 0;
  for (const auto at : line_ends) {
    out += pattern.substr(done, at - done);
    out += "(?:\\r?$)";
    done = at + 1;
  }
  return out += pattern.substr(done);
}

// \s and the like hold a newline, which never_nl takes from the automaton too.
void forget_newlines(std::vector<ByteString>& strings) {
  for (auto& text : strings) {
    for (auto& set : text) set.reset('\n');
  }
}

// Where the line that holds `at` begins; no earlier than `from`, the beginning of a line.
std::size_t line_begin(std::string_view text, std::size_t from, std::size_t at) {
  const void* const newline = ::memrchr(text.data() + from, '\n', at - from);
  return newline == nullptr ? from
                            : static_cast<std::size_t>(static_cast<const char*>(newline) - text.data()) + 1;
}

/// No fewer than the pattern has of \pL, \p{Greek} and the like, also where it isn't understood.
std::size_t count_properties(std::string_view pattern) {
  std::size_t count = 0;
  for (std::size_t at = pattern.find('\\'); at < pattern.size(); at = pattern.find('\\', at + 1))
    if (pattern.substr(at + 1).starts_with('p') || pattern.substr(at + 1).starts_with('P')) ++count;
  return count;
}

bool is_valid_utf8(std::string_view text) {
  return valid_utf8_prefix(text) == text.size();
}

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

struct LineSearch::Engine {
  std::string pattern;  // as RE2 gets it
  bool crosses_lines = false;
  bool line_by_line = false;       // each is a text of its own to the expression
  bool ascii_only = false;         // `text` serves for bytes as well
  bool spares_returns = false;     // a carriage return at a line's end is no part of it
  bool checks_returns = false;     // and a match in the line with it may be none without
  bool complete = false;           // what `finder` finds is a match
  std::size_t longest = kEndless;  // bytes of a match, at most
  std::optional<ByteFinder> finder;
  std::optional<RegexProgram> text;
  mutable std::once_flag bytes_made;
  mutable std::optional<RegexProgram> bytes;  // for what isn't UTF-8; made when first needed

  const RegexProgram& for_bytes() const {
    std::call_once(bytes_made, [this] {
      auto made =
          std::make_unique<RE2>(piece(pattern), options_for(RE2::Options::EncodingLatin1, crosses_lines));
      if (made->ok()) bytes.emplace(std::move(made), kMaxSteps);
    });
    return bytes ? *bytes : *text;
  }

  const RegexProgram& program_for(std::string_view searched) const {
    if (ascii_only) return *text;
    // A program for bytes has a quarter of the instructions or less, which pays in texts that are too long
    // for the other one. In ASCII it finds the same.
    const bool large = searched.size() > text->window && is_ascii(pattern) && is_ascii(searched);
    return large || !is_valid_utf8(searched) ? for_bytes() : *text;
  }
};

LineSearch::LineSearch(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {}
LineSearch::LineSearch(LineSearch&&) noexcept = default;
LineSearch& LineSearch::operator=(LineSearch&&) noexcept = default;
LineSearch::~LineSearch() = default;

bool LineSearch::crosses_lines() const noexcept {
  return engine_->crosses_lines;
}

bool LineSearch::may_match(std::string_view text) const {
  return !engine_->finder || engine_->finder->find(text, 0) != npos;
}

std::size_t LineSearch::window() const noexcept {
  return engine_->text->window;
}

std::size_t LineSearch::longest() const noexcept {
  return engine_->longest;
}

std::expected<LineSearch, std::string> LineSearch::compile(std::string_view pattern) {
  if (pattern.size() > kMaxPattern) {
    return std::unexpected(
        fmt::format("the pattern has {} bytes; at most {} are possible", pattern.size(), kMaxPattern));
  }
  if (count_properties(pattern) > kMaxProperties) return std::unexpected(regex_too_large_text());
  auto engine = std::make_unique<Engine>();
  const std::optional<RegexTree> tree = parse_regex(pattern);
  if (tree) {
    if (optional_parts(tree->root) > kMaxOptionalParts) return std::unexpected(regex_too_large_text());
    engine->crosses_lines = tree->crosses_lines;
    engine->line_by_line = tree->text_anchors;
    engine->ascii_only = tree->ascii_only;
    engine->spares_returns = !tree->names_return && !tree->crosses_lines;
    engine->checks_returns = engine->spares_returns && tree->takes_return;
    RequiredBytes required = required_bytes(tree->root);
    if (!engine->crosses_lines) forget_newlines(required.any_of);
    engine->complete = required.complete;
    engine->longest = longest_match(tree->root);
    if (!required.any_of.empty()) engine->finder.emplace(std::move(required.any_of));
  }
  const auto encoding = engine->ascii_only ? RE2::Options::EncodingLatin1 : RE2::Options::EncodingUTF8;
  auto options = options_for(encoding, engine->crosses_lines);
  if (!tree || program_size(tree->root) > kMaxProgram) options.set_max_mem(kMaxMemoryUnseen);
  engine->pattern = with_line_ends(pattern, tree ? tree->line_ends : std::vector<std::size_t>{});
  auto text = std::make_unique<RE2>(piece(engine->pattern), options);
  if (!text->ok()) {
    // Asked again as it was written, so that the message doesn't quote what was added here.
    const RE2 original(piece(pattern), options);
    const RE2& failed = original.ok() ? *text : original;
    std::string_view reason = failed.error();
    reason = reason.substr(0, reason.find(": "));
    return std::unexpected(regex_error_text(pattern, reason, failed.error_arg()));
  }
  engine->text.emplace(std::move(text), kMaxSteps);
  return LineSearch(std::move(engine));
}

std::optional<LineHit> LineScan::next() {
  if (engine_.crosses_lines) return next_by_automaton();
  if (engine_.finder) return next_candidate();
  if (engine_.line_by_line || &program() != &*engine_.text) return next_by_line();
  return next_by_automaton();
}

const RegexProgram& LineScan::program() {
  if (program_ == nullptr) program_ = &engine_.program_for(text_);
  return *program_;
}

WindowedMatch LineScan::matcher(const RegexProgram& program) {
  return {program, engine_.longest, deadline_, limits_};
}

std::string_view LineScan::searched(std::size_t begin, std::size_t end) const {
  const std::string_view line = text_.substr(begin, end - begin);
  return line.substr(0, line.size() - (engine_.spares_returns && line.ends_with('\r') ? 1 : 0));
}

bool LineScan::is_sure(std::size_t begin, std::size_t end) const {
  return !engine_.checks_returns || searched(begin, end).size() == end - begin;
}

std::optional<LineHit> LineScan::match_in_line(std::size_t begin, std::size_t end) {
  const std::string_view line = searched(begin, end);
  std::string_view match = line;
  WindowedMatch matching = matcher(engine_.program_for(line));
  // What `$` leaves out must not be a second one.
  const std::string_view whole = text_.substr(begin, end - begin);
  if (line.size() < whole.size() && line.ends_with('\r') &&
      !matching.find(whole, 0, whole.size(), match, false))
    return std::nullopt;
  if (!matching.find(line, 0, line.size(), match, line.size() > kMaxUnlocated)) return std::nullopt;
  const auto at = begin + static_cast<std::size_t>(match.data() - line.data());
  return LineHit{begin, end, at, at + match.size()};
}

std::optional<LineHit> LineScan::next_candidate() {
  while (at_ < text_.size()) {
    const std::size_t found = engine_.finder->find(text_, at_);
    if (found == npos) break;
    const std::size_t begin = line_begin(text_, at_, found);
    const std::size_t end = std::min(text_.find('\n', found), text_.size());
    at_ = end + 1;
    if (engine_.complete && is_sure(begin, end)) return LineHit{begin, end, found, found};
    if (const auto hit = match_in_line(begin, end)) return hit;
  }
  at_ = text_.size();
  return std::nullopt;
}

std::optional<LineHit> LineScan::next_by_line() {
  while (at_ < text_.size()) {
    const std::size_t begin = at_;
    const std::size_t end = std::min(text_.find('\n', begin), text_.size());
    at_ = end + 1;
    if (const auto hit = match_in_line(begin, end)) return hit;
  }
  return std::nullopt;
}

std::optional<LineHit> LineScan::next_by_automaton() {
  while (at_ < end_) {
    std::string_view match;
    if (!matcher(program()).find(text_, at_, end_, match, true)) break;
    const auto match_begin = static_cast<std::size_t>(match.data() - text_.data());
    const auto match_end = match_begin + match.size();
    // Behind the last newline there is no line, though an empty match fits there.
    if (match_begin == end_ && text_[end_ - 1] == '\n') break;
    // A match that ends in a newline ends with that line.
    const std::size_t last = !match.empty() && text_[match_end - 1] == '\n' ? match_end - 1 : match_end;
    const std::size_t end = std::min(text_.find('\n', last), text_.size());
    // Where lines may be crossed, another match can begin in the last one of these.
    at_ = engine_.crosses_lines && !match.empty() ? match_end : end + 1;
    if (end < given_) {
      if (deadline_.passed()) break;
      continue;
    }
    const std::size_t begin = line_begin(text_, given_, std::max(match_begin, given_));
    given_ = end + 1;
    if (!is_sure(begin, end)) {
      if (const auto hit = match_in_line(begin, end)) return hit;
      if (deadline_.passed()) break;
      continue;
    }
    return LineHit{begin, end, std::max(match_begin, begin), std::max(match_end, begin)};
  }
  at_ = end_;
  return std::nullopt;
}

std::optional<LineHit> LineScan::part(std::size_t begin, std::size_t end) {
  const bool whole = end == text_.size();
  const std::string_view text = whole ? searched(0, end) : text_.substr(0, end);
  if (engine_.finder && engine_.finder->find(text, begin) == npos) return std::nullopt;
  std::string_view match;
  if (!matcher(engine_.program_for(text)).find(whole ? text : text_, begin, text.size(), match, true))
    return std::nullopt;
  const auto at = static_cast<std::size_t>(match.data() - text_.data());
  return LineHit{0, end, at, at + match.size()};
}

std::size_t LineScan::count_matches(const LineHit& hit, std::size_t max) const {
  const std::string_view line = searched(hit.begin, hit.end);
  WindowLimits limits = limits_;
  WindowedMatch matching(engine_.program_for(line), engine_.longest, deadline_, limits);
  std::size_t count = 0;
  for (std::size_t at = hit.match_begin - hit.begin; at <= line.size() && count < max && !deadline_.passed();
       ++count) {
    std::string_view match;
    if (!matching.find(line, at, line.size(), match, true)) break;
    const auto end = static_cast<std::size_t>(match.data() - line.data()) + match.size();
    at = match.empty() ? end + 1 : end;
  }
  return count;
}

}  // namespace sandbox_worker::tools
