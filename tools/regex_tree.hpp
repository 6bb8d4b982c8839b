#pragma once

#include <bitset>
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace sandbox_worker::tools {

using ByteSet = std::bitset<256>;

/// What a regular expression is made of, as far as a prefilter wants to know it.
struct RegexNode {
  enum class Kind {
    bytes,     // one byte out of a set
    asserts,   // matches nothing by itself: ^ \b
    unknown,   // something that is not looked into: . [^a] \pL, and $, which may take a carriage return
    sequence,  // children in a row; none is the empty text
    choice,    // one of the children
    repeat,    // the child, `min` times or up to `max` times more often
  };
  static constexpr unsigned kUnbounded = ~0u;

  Kind kind = Kind::sequence;
  ByteSet bytes{};
  unsigned min = 0;
  unsigned max = 0;
  unsigned weight = 1;  // instructions that it takes in RE2's program, roughly
  std::vector<RegexNode> children{};
};

struct RegexTree {
  RegexNode root;
  std::vector<std::size_t> line_ends;  // offsets of each $ that is an assertion
  bool crosses_lines = false;          // has \n or (?s)
  bool text_anchors = false;  // \A, \z or (?-m): where a text ends matters, so each line is to be one
  bool names_return = false;  // has \r in some spelling
  bool takes_return = false;  // could match one, or beside one, without naming it, as . [^a] \s \B do
  bool ascii_only = true;     // means the same whether a text is taken as UTF-8 or as Latin-1
};

/// Understands what RE2 accepts, but for rare forms and very deep nesting; those give none. Meant for
/// patterns that RE2 has compiled: errors are not looked for.
std::optional<RegexTree> parse_regex(std::string_view pattern);

}  // namespace sandbox_worker::tools
