#pragma once

#include <vector>

#include "tools/regex_tree.hpp"

namespace sandbox_worker::tools {

/// A text of fixed length in which each byte is one of a set: "TODO", or "[A-Z]_[0-9]".
using ByteString = std::vector<ByteSet>;

/// What every text that a pattern matches must hold somewhere.
struct RequiredBytes {
  std::vector<ByteString> any_of;  // one of these; empty: nothing is known that would help
  bool complete = false;           // each place that holds one of them is a match, so no automaton is needed
};

/// Chooses the strings that are the rarest in source code and prose.
RequiredBytes required_bytes(const RegexNode& root);

/// How many of all bytes in source code and prose are in a set.
double share_of(const ByteSet& set);

/// Where in `text` the `length` bytes begin that are the rarest in source code and prose.
std::size_t rarest_window(const ByteString& text, std::size_t length);

}  // namespace sandbox_worker::tools
