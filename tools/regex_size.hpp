#pragma once

#include <cstddef>

#include "tools/regex_tree.hpp"

namespace sandbox_worker::tools {

/// How many parts may be left out or repeated, those under counted repetitions taken that many times:
/// (?:a?b*){10} has 20. At most a billion are counted.
std::size_t optional_parts(const RegexNode& node);

/// Instructions that RE2 needs for it, roughly; at most a billion are counted.
std::size_t program_size(const RegexNode& node);

/// Bytes that a match can have at most, or more than that; kEndless: any number.
std::size_t longest_match(const RegexNode& node);
inline constexpr std::size_t kEndless = static_cast<std::size_t>(-1);

}  // namespace sandbox_worker::tools
