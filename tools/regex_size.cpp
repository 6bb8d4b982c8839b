#include "tools/regex_size.hpp"

#include <algorithm>

namespace sandbox_worker::tools {
namespace {

using Kind = RegexNode::Kind;

constexpr std::size_t kMost = 1'000'000'000;

std::size_t times(std::size_t length, unsigned count) {
  if (length == 0 || count == 0) return 0;
  if (count == RegexNode::kUnbounded || length > kEndless / count) return kEndless;
  return length * count;
}

/// How often RE2 writes down what is repeated; it takes no more than 1000.
std::size_t copies(const RegexNode& repeat) {
  const bool unbounded = repeat.max == RegexNode::kUnbounded;
  return std::min<std::size_t>(unbounded ? std::max(repeat.min, 1u) : repeat.max, 1000);
}

}  // namespace

std::size_t optional_parts(const RegexNode& node) {
  std::size_t inside = 0;
  for (const auto& child : node.children) inside = std::min(inside + optional_parts(child), kMost);
  if (node.kind != Kind::repeat) return inside;
  const bool unbounded = node.max == RegexNode::kUnbounded;
  const unsigned optional = unbounded ? 1 : node.max - std::min(node.min, node.max);
  return std::min(inside * copies(node) + optional, kMost);
}

std::size_t program_size(const RegexNode& node) {
  std::size_t size = node.weight;
  for (const auto& child : node.children) size = std::min(size + program_size(child), kMost);
  return node.kind == Kind::repeat ? std::min(size * copies(node), kMost) : size;
}

std::size_t longest_match(const RegexNode& node) {
  switch (node.kind) {
    case Kind::bytes:
      return 1;
    case Kind::asserts:
      return 0;
    case Kind::unknown:
      return 4;
    case Kind::repeat:
      return times(longest_match(node.children.front()), node.max);
    case Kind::sequence:
    case Kind::choice:
      break;
  }
  std::size_t sum = 0;
  std::size_t most = 0;
  for (const auto& child : node.children) {
    const std::size_t one = longest_match(child);
    sum = one > kEndless - sum ? kEndless : sum + one;
    most = std::max(most, one);
  }
  return node.kind == Kind::choice ? most : sum;
}

}  // namespace sandbox_worker::tools
