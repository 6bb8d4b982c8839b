#include "tools/literals.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <span>
#include <utility>

namespace sandbox_worker::tools {
namespace {

using Kind = RegexNode::Kind;
using Strings = std::vector<ByteString>;

// More strings than these find too much to be worth looking for, longer ones don't find less.
constexpr std::size_t kMaxProduct = 16;
constexpr std::size_t kMaxStrings = 64;
constexpr std::size_t kMaxLength = 32;
// The bytes that a search can compare at once.
constexpr std::size_t kWindow = 4;
// Expected candidates per byte, above which going through the text with the automaton is as fast.
constexpr double kMaxCost = 0.002;

// Occurrences per 10,000 bytes, counted over a mix of C, C++, Python and prose; 0 is less than half an
// occurrence.
constexpr std::array<std::uint16_t, 128> kFrequency{
    0,   0,   0,   0,   0,   0,   0,   0,   0,  225, 322, 0,  0,  0,    0,   0,   0,   0,   0,
    0,   0,   0,   0,   0,   0,   0,   0,   0,  0,   0,   0,  0,  1497, 6,   44,  23,  1,   5,
    17,  50,  108, 108, 68,  10,  136, 77,  72, 44,  91,  43, 38, 23,   19,  19,  19,  9,   22,
    10,  59,  74,  14,  74,  50,  2,   5,   68, 29,  53,  41, 83, 30,   21,  18,  62,  1,   10,
    42,  40,  47,  58,  46,  4,   58,  69,  81, 22,  15,  15, 19, 9,    2,   16,  10,  16,  1,
    388, 11,  332, 87,  222, 226, 631, 161, 85, 117, 358, 5,  47, 223,  139, 315, 297, 180, 22,
    377, 342, 490, 172, 80,  63,  74,  62,  12, 22,  10,  22, 7,  0};

double share_of_window(const ByteString& text, std::size_t begin, std::size_t length) {
  double share = 1;
  for (std::size_t i = 0; i < length; ++i) share *= share_of(text[begin + i]);
  return share;
}

// Words that are far more frequent than their letters.
constexpr std::array<std::string_view, 24> kWords{
    "struct", "return", "static",  "include", "define",   "const",  "import", "function",
    "class",  "public", "private", "void",    "unsigned", "string", "self",   "this",
    "else",   "while",  "from",    "null",    "true",     "false",  "error",  "the"};
constexpr double kShareOfWord = 0.001;

// Whether the text is a piece of the word, classes at its ends left aside.
bool is_part_of(std::span<const ByteSet> text, std::string_view word) {
  constexpr std::size_t kClass = 4;
  while (!text.empty() && text.front().count() > kClass) text = text.subspan(1);
  while (!text.empty() && text.back().count() > kClass) text = text.first(text.size() - 1);
  if (text.empty()) return false;
  for (std::size_t at = 0; at + text.size() <= word.size(); ++at) {
    std::size_t i = 0;
    while (i < text.size() && text[i][static_cast<unsigned char>(word[at + i])]) ++i;
    if (i == text.size()) return true;
  }
  return false;
}

double cost_of(const Strings& strings) {
  double cost = 0;
  for (const auto& text : strings) {
    const std::size_t length = std::min(text.size(), kWindow);
    if (length == 0) return std::numeric_limits<double>::infinity();
    const double share = share_of_window(text, rarest_window(text, length), length);
    const bool word = std::ranges::any_of(kWords, [&](auto each) { return is_part_of(text, each); });
    cost += word ? std::max(share, kShareOfWord) : share;
  }
  return strings.empty() ? std::numeric_limits<double>::infinity() : cost;
}

/// What is known of everything that a node matches.
struct Facts {
  bool exact = false;  // it is one of `prefixes` and nothing else
  bool bare = true;    // no assertion has a say in it
  Strings prefixes;    // it begins with one of them
  Strings suffixes;    // it ends with one of them
  Strings best;        // it holds one of them; empty: unknown
};

Facts exactly(Strings strings) {
  Facts facts;
  facts.exact = true;
  facts.prefixes = facts.suffixes = facts.best = std::move(strings);
  return facts;
}

Facts nothing_known() {
  return {.exact = false, .bare = true, .prefixes = {{}}, .suffixes = {{}}, .best = {}};
}

std::optional<Strings> product(const Strings& left, const Strings& right) {
  if (left.size() * right.size() > kMaxProduct && left.size() > 1 && right.size() > 1) return std::nullopt;
  if (left.size() * right.size() > kMaxStrings) return std::nullopt;
  Strings out;
  for (const auto& a : left) {
    for (const auto& b : right) {
      if (a.size() + b.size() > kMaxLength) return std::nullopt;
      auto& joined = out.emplace_back(a);
      joined.insert(joined.end(), b.begin(), b.end());
    }
  }
  return out;
}

void consider(Strings& best, const Strings& candidate) {
  if (cost_of(candidate) < cost_of(best)) best = candidate;
}

bool append(Strings& all, const Strings& more) {
  if (all.size() + more.size() > kMaxStrings) return false;
  all.insert(all.end(), more.begin(), more.end());
  return true;
}

Facts facts_of(const RegexNode& node);

Facts facts_of_sequence(const RegexNode& node) {
  Facts out{.exact = true, .bare = true, .prefixes = {}, .suffixes = {}, .best = {}};
  Strings run{{}};  // what the end of the sequence so far is known to be
  for (const auto& child : node.children) {
    const Facts next = facts_of(child);
    out.bare = out.bare && next.bare;
    auto joined = product(run, next.prefixes);
    if (next.exact && joined) {
      run = std::move(*joined);
      continue;
    }
    const Strings& longest = joined ? *joined : run;
    consider(out.best, longest);
    consider(out.best, next.best);
    if (std::exchange(out.exact, false)) out.prefixes = longest;
    run = next.suffixes;
  }
  consider(out.best, run);
  if (out.exact) out.prefixes = run;
  out.suffixes = std::move(run);
  return out;
}

Facts facts_of_choice(const RegexNode& node) {
  Facts out{.exact = true, .bare = true, .prefixes = {}, .suffixes = {}, .best = {}};
  bool all_known = true;
  bool fits = true;
  for (const auto& child : node.children) {
    const Facts one = facts_of(child);
    out.exact = out.exact && one.exact;
    out.bare = out.bare && one.bare;
    all_known = all_known && !one.best.empty() && append(out.best, one.best);
    fits = fits && append(out.prefixes, one.prefixes) && append(out.suffixes, one.suffixes);
  }
  if (!all_known) out.best.clear();
  if (!fits) {
    out.exact = false;
    out.prefixes = out.suffixes = {{}};
  }
  return out;
}

Facts facts_of_repeat(const RegexNode& node) {
  Facts child = facts_of(node.children.front());
  if (node.min == 0) {
    if (node.max != 1 || !child.exact) return nothing_known();
    const bool bare = child.bare;
    if (!append(child.prefixes, {{}})) return nothing_known();
    Facts optional = exactly(std::move(child.prefixes));
    optional.best.clear();
    optional.bare = bare;
    return optional;
  }
  if (!child.exact) return child;
  Strings repeated = child.prefixes;
  unsigned times = 1;
  for (; times < node.min; ++times) {
    auto longer = product(repeated, child.prefixes);
    if (!longer) break;
    repeated = std::move(*longer);
  }
  Facts out = exactly(std::move(repeated));
  out.exact = times == node.max;
  out.bare = child.bare;
  return out;
}

Facts facts_of(const RegexNode& node) {
  switch (node.kind) {
    case Kind::bytes:
      return exactly({{node.bytes}});
    case Kind::asserts: {
      Facts facts = exactly({{}});
      facts.bare = false;
      return facts;
    }
    case Kind::unknown:
      return nothing_known();
    case Kind::sequence:
      return facts_of_sequence(node);
    case Kind::choice:
      return facts_of_choice(node);
    case Kind::repeat:
      return facts_of_repeat(node);
  }
  return nothing_known();
}

}  // namespace

double share_of(const ByteSet& set) {
  double share = 0;
  for (std::size_t c = set._Find_first(); c < set.size(); c = set._Find_next(c)) {
    share += (c < 128 ? kFrequency[c] + 0.3 : 1.0) / 10'000;
  }
  return std::min(share, 1.0);
}

std::size_t rarest_window(const ByteString& text, std::size_t length) {
  std::size_t best = 0;
  double lowest = std::numeric_limits<double>::infinity();
  for (std::size_t begin = 0; begin + length <= text.size(); ++begin) {
    const double share = share_of_window(text, begin, length);
    if (share >= lowest) continue;
    lowest = share;
    best = begin;
  }
  return best;
}

RequiredBytes required_bytes(const RegexNode& root) {
  const Facts facts = facts_of(root);
  if (cost_of(facts.best) > kMaxCost) return {};
  return {.any_of = facts.best,
          .complete = facts.exact && facts.bare && facts.best.size() == facts.prefixes.size()};
}

}  // namespace sandbox_worker::tools
