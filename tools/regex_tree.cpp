#include "tools/regex_tree.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <string>
#include <utility>

#include "tools/character_class.hpp"
#include "tools/utf8_step.hpp"

namespace sandbox_worker::tools {
namespace {

using Kind = RegexNode::Kind;

constexpr unsigned kMaxDepth = 200;
// Instructions for a class beyond ASCII: of some ranges, of a Unicode property's hundreds.
constexpr unsigned kWideWeight = 12;
constexpr unsigned kPropertyWeight = 400;

RegexNode leaf(Kind kind) {
  return {.kind = kind};
}

ByteSet ascii_where(int (*test)(int)) {
  ByteSet set;
  for (int c = 0; c < 128; ++c) set[static_cast<std::size_t>(c)] = test(c) != 0;
  return set;
}

int is_word(int c) {
  return std::isalnum(c) || c == '_';
}
int is_perl_space(int c) {
  return std::isspace(c) && c != '\v';
}

// \d, \s and \w, which RE2 takes as ASCII.
std::optional<ByteSet> perl_class(char c) {
  if (c == 'd') return ascii_where(std::isdigit);
  if (c == 's') return ascii_where(is_perl_space);
  if (c == 'w') return ascii_where(is_word);
  return std::nullopt;
}

std::optional<ByteSet> named_class(std::string_view name) {
  if (name == "word") return ascii_where(is_word);
  const auto holds = character_class(name);
  return holds == nullptr ? std::nullopt : std::optional(ascii_where(holds));
}

class Parser {
 public:
  explicit Parser(std::string_view pattern) : pattern_(pattern) {}

  std::optional<RegexTree> parse() {
    tree_.root = parse_choice(0);
    if (failed_ || at_ != pattern_.size()) return std::nullopt;
    return std::move(tree_);
  }

 private:
  struct Flags {
    bool fold = false;
  };

  bool done() const { return failed_ || at_ >= pattern_.size(); }
  char peek() const { return pattern_[at_]; }
  bool eat(std::string_view text) {
    if (!pattern_.substr(at_).starts_with(text)) return false;
    at_ += text.size();
    return true;
  }
  RegexNode fail() {
    failed_ = true;
    return {};
  }
  RegexNode unknown(unsigned weight = kWideWeight) {
    tree_.ascii_only = false;
    tree_.takes_return = true;
    RegexNode node = leaf(Kind::unknown);
    node.weight = weight;
    return node;
  }

  RegexNode parse_choice(unsigned depth) {
    if (depth > kMaxDepth) return fail();
    RegexNode node{.kind = Kind::choice};
    do {
      node.children.push_back(parse_sequence(depth));
    } while (!failed_ && eat("|"));
    if (node.children.size() == 1) return std::move(node.children.front());
    return node;
  }

  RegexNode parse_sequence(unsigned depth) {
    RegexNode node{.kind = Kind::sequence};
    while (!done() && peek() != '|' && peek() != ')') {
      parse_atom(node.children, depth);
      // Behind "(?i)" and "\Q\E" it is about what was before them.
      while (!done() && !node.children.empty() && parse_repeat(node.children.back())) {
      }
    }
    return node;
  }

  bool parse_repeat(RegexNode& node) {
    unsigned min = 0;
    unsigned max = RegexNode::kUnbounded;
    if (eat("+")) {
      min = 1;
    } else if (eat("?")) {
      max = 1;
    } else if (!eat("*") && !parse_counts(min, max)) {
      return false;
    }
    eat("?");
    RegexNode repeat{.kind = Kind::repeat, .min = min, .max = max};
    repeat.children.push_back(std::move(node));
    node = std::move(repeat);
    return true;
  }

  bool parse_counts(unsigned& min, unsigned& max) {
    if (peek() != '{') return false;
    const auto close = pattern_.find('}', at_);
    if (close == std::string_view::npos) return false;
    const char* const end = pattern_.data() + close;
    auto [rest, error] = std::from_chars(pattern_.data() + at_ + 1, end, min);
    if (error != std::errc()) return false;
    max = min;
    if (rest != end && *rest == ',') {
      max = RegexNode::kUnbounded;
      if (++rest != end) {
        const auto [last, wrong] = std::from_chars(rest, end, max);
        if (wrong != std::errc()) return false;
        rest = last;
      }
    }
    if (rest != end) return false;
    at_ = close + 1;
    return true;
  }

  void parse_atom(std::vector<RegexNode>& out, unsigned depth) {
    switch (peek()) {
      case '(':
        return parse_group(out, depth);
      case '[':
        out.push_back(parse_class());
        return;
      case '.':
        ++at_;
        out.push_back(unknown());
        return;
      case '$':
        tree_.line_ends.push_back(at_++);
        out.push_back(leaf(Kind::unknown));
        return;
      case '^':
        ++at_;
        out.push_back(leaf(Kind::asserts));
        return;
      case '\\':
        return parse_escape(out);
      default:
        return add_character(out, take());
    }
  }

  std::uint32_t take() {
    const auto [c, length] = utf8_step(pattern_, at_);
    at_ += length;
    return c;
  }

  void add_character(std::vector<RegexNode>& out, std::uint32_t c) {
    if (c == '\n') tree_.crosses_lines = true;
    if (c == '\r') tree_.names_return = true;
    if (c < 128) {
      ByteSet set;
      set.set(c);
      out.push_back(bytes(set));
      return;
    }
    tree_.ascii_only = false;
    // Case folding beyond ASCII changes the length of a character; a repetition must get it in one piece.
    if (flags_.fold || c > 0x10FFFF) return out.push_back(unknown());
    RegexNode node{.kind = Kind::sequence};
    std::string encoded;
    append_utf8(encoded, c);
    for (const char byte : encoded) {
      node.children.push_back(leaf(Kind::bytes));
      node.children.back().bytes.set(static_cast<unsigned char>(byte));
    }
    out.push_back(std::move(node));
  }

  RegexNode bytes(ByteSet set) {
    if (flags_.fold) {
      // Under (?i) they stand for a third letter beyond ASCII as well: the long s, the Kelvin sign.
      if (set['s'] || set['S'] || set['k'] || set['K']) return unknown();
      for (std::size_t c = 'a'; c <= 'z'; ++c) set[c] = set[c - 32] = set[c] || set[c - 32];
    }
    if (set['\r']) tree_.takes_return = true;
    return {.kind = Kind::bytes, .bytes = set};
  }

  void parse_group(std::vector<RegexNode>& out, unsigned depth) {
    ++at_;
    const Flags outside = flags_;
    if (eat("?")) {
      if (eat("P<")) {
        at_ = std::min(pattern_.find('>', at_), pattern_.size() - 1) + 1;
      } else if (!parse_flags()) {
        return;  // "(?i)" holds for what follows
      }
    }
    RegexNode inside = parse_choice(depth + 1);
    if (!eat(")")) failed_ = true;
    flags_ = outside;
    out.push_back(std::move(inside));
  }

  // True when a group follows: "(?i:".
  bool parse_flags() {
    for (bool on = true; !done(); ++at_) {
      switch (peek()) {
        case '-':
          on = false;
          break;
        case 'i':
          flags_.fold = on;
          break;
        case 's':
          if (on) tree_.crosses_lines = true;
          break;
        case 'm':
          if (!on) tree_.text_anchors = true;
          break;
        case 'U':
          break;
        case ':':
        case ')':
          return pattern_[at_++] == ':';
        default:
          failed_ = true;
      }
    }
    failed_ = true;
    return false;
  }

  void parse_escape(std::vector<RegexNode>& out) {
    if (at_ + 1 >= pattern_.size()) return void(failed_ = true);
    const char c = pattern_[at_ + 1];
    if (eat("\\Q")) {
      while (!done() && !eat("\\E")) add_character(out, take());
      return;
    }
    if (std::string_view("AbBz").find(c) != std::string_view::npos) {
      at_ += 2;
      if (c == 'A' || c == 'z') tree_.text_anchors = true;
      if (c == 'B') tree_.takes_return = true;  // which holds behind one, at the line's end
      return out.push_back(leaf(Kind::asserts));
    }
    if (const auto set = perl_class(c)) {
      at_ += 2;
      return out.push_back(bytes(*set));
    }
    if (std::string_view("DSWCpP").find(c) != std::string_view::npos) {
      return out.push_back(unknown(skip_wide_class()));
    }
    const auto character = take_escaped();
    if (!character) return;
    // In a text that isn't UTF-8 it is that one byte.
    if (*character >= 0x80 && *character <= 0xFF) return out.push_back(unknown());
    add_character(out, *character);
  }

  /// Gives its weight.
  unsigned skip_wide_class() {
    const bool unicode = pattern_[at_ + 1] == 'p' || pattern_[at_ + 1] == 'P';
    at_ += 2;
    if (!unicode || done()) return kWideWeight;
    at_ = peek() == '{' ? std::min(pattern_.find('}', at_), pattern_.size() - 1) + 1 : at_ + 1;
    return kPropertyWeight;
  }

  std::optional<std::uint32_t> take_escaped() {
    static constexpr std::string_view kNames = "aftnrv";
    static constexpr std::string_view kMeant = "\a\f\t\n\r\v";
    const char c = pattern_[++at_];
    if (c == 'x') return take_hexadecimal();
    if (c >= '0' && c <= '7') {
      std::uint32_t value = 0;
      for (int i = 0; i < 3 && !done() && peek() >= '0' && peek() <= '7'; ++i, ++at_) {
        value = value * 8 + static_cast<std::uint32_t>(peek() - '0');
      }
      return value;
    }
    const auto index = kNames.find(c);
    if (index != std::string_view::npos) return ++at_, static_cast<unsigned char>(kMeant[index]);
    if (std::isalnum(static_cast<unsigned char>(c))) return fail(), std::nullopt;
    return take();
  }

  std::optional<std::uint32_t> take_hexadecimal() {
    ++at_;
    const bool braces = eat("{");
    const auto end = braces ? pattern_.find('}', at_) : at_ + 2;
    std::uint32_t value = 0;
    if (end > pattern_.size()) return fail(), std::nullopt;
    const auto [rest, error] = std::from_chars(pattern_.data() + at_, pattern_.data() + end, value, 16);
    if (error != std::errc() || rest != pattern_.data() + end) return fail(), std::nullopt;
    at_ = end + (braces ? 1 : 0);
    return value;
  }

  RegexNode parse_class() {
    ++at_;
    const bool inverted = eat("^");
    ByteSet set;
    unsigned weight = inverted ? kWideWeight : 0;
    bool newline = false;
    for (bool first = true; !done() && (first || peek() != ']'); first = false) {
      parse_class_item(set, weight, newline);
    }
    if (!eat("]")) return fail();
    if (newline && !inverted) tree_.crosses_lines = true;
    return weight > 0 ? unknown(weight) : bytes(set);
  }

  /// `weight` grows by what is beyond ASCII.
  void parse_class_item(ByteSet& set, unsigned& weight, bool& newline) {
    if (eat("[:")) {
      const auto close = pattern_.find(":]", at_);
      if (close == std::string_view::npos) return void(failed_ = true);
      const auto named = named_class(pattern_.substr(at_, close - at_));
      named ? void(set |= *named) : void(weight += kWideWeight);
      at_ = close + 2;
      return;
    }
    if (peek() == '\\' && at_ + 1 < pattern_.size()) {
      const char c = pattern_[at_ + 1];
      if (const auto perl = perl_class(c)) {
        set |= *perl;
        at_ += 2;
        return;
      }
      if (std::string_view("DSWpP").find(c) != std::string_view::npos) {
        return void(weight += skip_wide_class());
      }
    }
    const auto low = class_character();
    auto high = low;
    if (!done() && peek() == '-' && at_ + 1 < pattern_.size() && pattern_[at_ + 1] != ']') {
      ++at_;
      high = class_character();
    }
    if (!low || !high) return;
    if (*high >= 128) weight += kWideWeight;
    // A range like [\t-~] holds a newline by accident; only one that is spelled out is meant.
    if (*low == '\n' || *high == '\n') newline = true;
    if (*low == '\r' || *high == '\r') tree_.names_return = true;
    for (std::uint32_t c = *low; c <= std::min(*high, 127u); ++c) set.set(c);
  }

  std::optional<std::uint32_t> class_character() {
    if (done()) return fail(), std::nullopt;
    if (peek() == '\\' && at_ + 1 < pattern_.size()) return take_escaped();
    return take();
  }

  const std::string_view pattern_;
  std::size_t at_ = 0;
  Flags flags_;
  bool failed_ = false;
  RegexTree tree_;
};

}  // namespace

std::optional<RegexTree> parse_regex(std::string_view pattern) {
  return Parser(pattern).parse();
}

}  // namespace sandbox_worker::tools
