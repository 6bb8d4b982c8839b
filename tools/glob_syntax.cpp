#include "tools/glob_syntax.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tools/character_class.hpp"
#include "tools/utf8_step.hpp"

namespace sandbox_worker::tools {
namespace {

using Kind = GlobNode::Kind;
using Sequence = std::vector<GlobNode>;

constexpr std::uint32_t kLast = kInvalidByte + 0xFF;
constexpr unsigned kMaxDepth = 100;
// The longest path that the kernel takes; no longer pattern is written on purpose.
constexpr std::size_t kMaxPattern = 4096;

GlobNode one(std::uint32_t c) {
  return {Kind::one, {.ranges = {{c, c}}}, {}};
}

bool is_only(const GlobNode& node, std::uint32_t c) {
  const auto& ranges = node.characters.ranges;
  return node.kind == Kind::one && !node.characters.inverted && ranges.size() == 1 &&
         ranges[0] == std::pair(c, c);
}

bool is_slash(const GlobNode& node) {
  return is_only(node, '/');
}

class Parser {
 public:
  explicit Parser(std::string_view pattern) : pattern_(pattern) {}

  std::expected<Sequence, std::string> parse() {
    Sequence sequence = parse_sequence(0);
    if (!error_.empty()) return std::unexpected(std::move(error_));
    return sequence;
  }

 private:
  Sequence parse_sequence(unsigned depth) {
    Sequence out;
    while (at_ < pattern_.size() && error_.empty()) {
      const char c = pattern_[at_];
      if (depth > 0 && (c == ',' || c == '}')) break;
      if (c == '*') {
        // How many stars there are is all that is known here; what they mean depends on both neighbours.
        const auto end = std::min(pattern_.find_first_not_of('*', at_), pattern_.size());
        out.push_back({end - at_ > 1 ? Kind::anything : Kind::star, {}, {}});
        at_ = end;
      } else if (c == '?') {
        out.push_back({Kind::one, {.ranges = {{0, kLast}}}, {}});
        ++at_;
      } else if (c == '[') {
        out.push_back(parse_set());
      } else if (c == '{') {
        out.push_back(parse_choice(depth + 1));
      } else {
        if (c == '\\' && ++at_ == pattern_.size()) return fail("ends in a backslash");
        out.push_back(one(take()));
      }
    }
    return out;
  }

  GlobNode parse_choice(unsigned depth) {
    GlobNode node{Kind::choice, {}, {}};
    if (depth > kMaxDepth) return fail("has braces nested too deeply"), node;
    do {
      ++at_;
      node.choices.push_back(parse_sequence(depth));
    } while (at_ < pattern_.size() && pattern_[at_] == ',' && error_.empty());
    if (at_ == pattern_.size()) fail("has a { without a } (write \\{ for the character itself)");
    ++at_;
    return node;
  }

  GlobNode parse_set() {
    GlobNode node{Kind::one, {}, {}};
    ++at_;
    node.characters.inverted = at_ < pattern_.size() && (pattern_[at_] == '!' || pattern_[at_] == '^');
    if (node.characters.inverted) ++at_;
    for (bool first = true; at_ < pattern_.size() && (first || pattern_[at_] != ']'); first = false) {
      if (take_class(node.characters)) continue;
      const std::uint32_t low = take_escaped();
      std::uint32_t high = low;
      if (at_ + 1 < pattern_.size() && pattern_[at_] == '-' && pattern_[at_ + 1] != ']') {
        ++at_;
        high = take_escaped();
      }
      node.characters.ranges.emplace_back(low, high);
    }
    if (at_ >= pattern_.size()) fail("has a [ without a ] (write \\[ for the character itself)");
    ++at_;
    return node;
  }

  /// "[:alpha:]"
  bool take_class(GlobCharacters& characters) {
    constexpr std::string_view kOpen = "[:";
    const auto rest = pattern_.substr(at_);
    const auto close = rest.find(":]", kOpen.size());
    if (!rest.starts_with(kOpen) || close == std::string_view::npos) return false;
    const auto name = rest.substr(kOpen.size(), close - kOpen.size());
    if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyz") != std::string_view::npos) return false;
    const auto holds = character_class(name);
    if (holds == nullptr)
      return fail(fmt::format("has [:{}:], which is no class of characters", name)), false;
    for (std::uint32_t c = 0; c < 0x80; ++c)
      if (holds(static_cast<int>(c)) != 0) characters.ranges.emplace_back(c, c);
    at_ += close + kOpen.size();
    return true;
  }

  std::uint32_t take_escaped() {
    if (pattern_[at_] == '\\' && at_ + 1 < pattern_.size()) ++at_;
    return take();
  }

  std::uint32_t take() {
    const auto [c, length] = utf8_step(pattern_, at_);
    at_ += length;
    return c;
  }

  Sequence fail(std::string_view what) {
    if (error_.empty()) error_ = fmt::format("the pattern {}", what);
    return {};
  }

  const std::string_view pattern_;
  std::size_t at_ = 0;
  std::string error_;
};

// A slash behind braces moves into each of their choices, so that "{**,src}/x" has its "**/" in one piece.
void move_slashes_into_choices(Sequence& sequence) {
  for (std::size_t i = 0; i < sequence.size(); ++i) {
    if (sequence[i].kind != Kind::choice) continue;
    auto& choices = sequence[i].choices;
    const auto ends_in_stars = [](const Sequence& s) {
      return !s.empty() && (s.back().kind == Kind::anything || s.back().kind == Kind::choice);
    };
    if (i + 1 < sequence.size() && is_slash(sequence[i + 1]) && std::ranges::any_of(choices, ends_in_stars)) {
      for (auto& choice : choices) choice.push_back(one('/'));
      sequence.erase(sequence.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    }
    for (auto& choice : choices) move_slashes_into_choices(choice);
  }
}

bool ends_at_slash(const Sequence& sequence, bool opens) {
  if (sequence.empty()) return opens;
  if (sequence.back().kind == Kind::any_directories) return true;
  if (sequence.back().kind != Kind::choice) return is_slash(sequence.back());
  return std::ranges::all_of(sequence.back().choices, [](const auto& s) { return ends_at_slash(s, false); });
}

// Gives runs of stars their meaning. `opens`: what precedes the sequence is a slash or the beginning;
// `closes`: what follows it is the end.
void resolve_stars(Sequence& sequence, bool opens, bool closes) {
  Sequence out;
  for (std::size_t i = 0; i < sequence.size(); ++i) {
    GlobNode& node = sequence[i];
    const bool component_begins = ends_at_slash(out, opens);
    const bool last = i + 1 == sequence.size();
    if (node.kind == Kind::choice) {
      for (auto& choice : node.choices) resolve_stars(choice, component_begins, closes && last);
    } else if (node.kind == Kind::anything) {
      const bool before_slash = !last && is_slash(sequence[i + 1]);
      if (component_begins && before_slash) {
        node.kind = Kind::any_directories;
        ++i;
      } else if (!component_begins || !last || !closes) {
        node.kind = Kind::star;
      }
    }
    out.push_back(std::move(node));
  }
  sequence = std::move(out);
}

// What a component can be so far of what leads to "..", one bit each; it can be anything else besides.
constexpr unsigned kNothing = 1;
constexpr unsigned kTwoDots = kNothing << 2;

unsigned follow_dots(const Sequence& sequence, unsigned so_far, bool& found) {
  for (const GlobNode& node : sequence) {
    if (node.kind == Kind::choice) {
      unsigned after = 0;
      for (const auto& choice : node.choices) after |= follow_dots(choice, so_far, found);
      so_far = after;
    } else if (is_slash(node) || node.kind == Kind::any_directories) {
      found = found || (so_far & kTwoDots) != 0;
      so_far = kNothing;
    } else {
      so_far = is_only(node, '.') ? (so_far & ~kTwoDots) << 1 : 0;
    }
  }
  return so_far;
}

// Whether the braces have a choice that leaves nothing of it.
bool can_be_empty(const Sequence& sequence) {
  return std::ranges::all_of(sequence, [](const GlobNode& node) {
    return node.kind == Kind::choice && std::ranges::any_of(node.choices, can_be_empty);
  });
}

// Up to the first wildcard.
std::size_t literal_length(std::string_view pattern) {
  std::size_t at = 0;
  for (; at < pattern.size() && std::string_view("*?[{").find(pattern[at]) == std::string_view::npos; ++at) {
    if (pattern[at] == '\\') ++at;
  }
  return std::min(at, pattern.size());
}

std::string without_escapes(std::string_view pattern) {
  std::string literal;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\' && i + 1 < pattern.size()) ++i;
    literal += pattern[i];
  }
  return literal;
}

}  // namespace

bool GlobCharacters::accepts(std::uint32_t c) const {
  if (c == '/' && !crosses_slash) return !inverted && ranges.size() == 1 && ranges[0] == std::pair(47u, 47u);
  const bool listed =
      std::ranges::any_of(ranges, [c](const auto& r) { return r.first <= c && c <= r.second; });
  return listed != inverted;
}

std::expected<std::vector<GlobNode>, std::string> parse_glob(std::string_view pattern) {
  if (pattern.size() > kMaxPattern) {
    return std::unexpected(
        fmt::format("the pattern has {} bytes; at most {} are possible", pattern.size(), kMaxPattern));
  }
  auto sequence = Parser(pattern).parse();
  if (!sequence) return sequence;
  move_slashes_into_choices(*sequence);
  resolve_stars(*sequence, true, true);
  return sequence;
}

bool has_parent_step(const std::vector<GlobNode>& glob) {
  bool found = false;
  const unsigned last = follow_dots(glob, kNothing, found);
  return found || (last & kTwoDots) != 0;
}

bool may_be_absolute(const std::vector<GlobNode>& glob) {
  for (const GlobNode& node : glob) {
    if (node.kind != Kind::choice) return is_slash(node);
    if (std::ranges::any_of(node.choices, may_be_absolute)) return true;
    if (std::ranges::none_of(node.choices, can_be_empty)) return false;
  }
  return false;
}

std::optional<std::string> literal_path(std::string_view pattern) {
  if (literal_length(pattern) < pattern.size()) return std::nullopt;
  return without_escapes(pattern);
}

std::pair<std::string, std::string_view> split_literal_directories(std::string_view pattern) {
  const auto slash = pattern.substr(0, literal_length(pattern)).rfind('/');
  if (slash == std::string_view::npos) return {{}, pattern};
  return {without_escapes(pattern.substr(0, slash + 1)), pattern.substr(slash + 1)};
}

}  // namespace sandbox_worker::tools
