#include "tools/glob_pattern.hpp"

#include <algorithm>
#include <bit>

#include "tools/utf8_step.hpp"

namespace sandbox_worker::tools {
namespace {

// Entries in follow lists. Optional choices in a row make it grow with the square of their number.
constexpr std::size_t kMaxFollow = 1'000'000;

using Kind = GlobNode::Kind;
using Positions = std::vector<std::uint32_t>;

/// Builds the position automaton: every character of the pattern is a state, and `follow` says which come
/// next.
class Builder {
 public:
  std::vector<GlobCharacters> positions{GlobCharacters{}};  // 0 is the beginning and accepts nothing
  std::vector<Positions> follow{Positions{}};

  /// Adds `sequence` behind the positions `from`; gives those that it can end in.
  Positions add(const std::vector<GlobNode>& sequence, Positions from) {
    for (const GlobNode& node : sequence) {
      from = add(node, std::move(from));
      if (too_large()) break;
    }
    return from;
  }

  bool too_large() const noexcept { return edges_ > kMaxFollow; }

 private:
  Positions add(const GlobNode& node, Positions from) {
    switch (node.kind) {
      case Kind::one:
        return {add_position(node.characters, from)};
      case Kind::star: {
        const auto any = add_loop(false, from);
        from.push_back(any);
        return from;
      }
      case Kind::anything:
        return {add_loop(true, from)};
      case Kind::any_directories: {
        const auto any = add_loop(true, from);
        from.push_back(add_position({.ranges = {{'/', '/'}}}, {any}));
        return from;
      }
      case Kind::choice: {
        Positions ends;
        for (const auto& choice : node.choices) {
          const Positions end = add(choice, from);
          ends.insert(ends.end(), end.begin(), end.end());
        }
        std::ranges::sort(ends);
        ends.erase(std::ranges::unique(ends).begin(), ends.end());
        return ends;
      }
    }
    return from;
  }

  std::uint32_t add_position(const GlobCharacters& characters, const Positions& from) {
    const auto position = static_cast<std::uint32_t>(positions.size());
    positions.push_back(characters);
    follow.emplace_back();
    for (const auto before : from) follow[before].push_back(position);
    edges_ += from.size();
    return position;
  }

  std::uint32_t add_loop(bool crosses_slash, const Positions& from) {
    const auto any = add_position({.ranges = {}, .inverted = true, .crosses_slash = crosses_slash}, from);
    follow[any].push_back(any);
    return any;
  }

  std::size_t edges_ = 0;
};

template <class Words>
void set_bit(Words& words, std::size_t bit) {
  words[bit / 64] |= std::uint64_t{1} << (bit % 64);
}

template <class Words, class Visit>
void for_each_bit(const Words& words, Visit visit) {
  for (std::size_t w = 0; w < words.size(); ++w) {
    for (auto bits = words[w]; bits != 0; bits &= bits - 1) {
      visit(w * 64 + static_cast<std::size_t>(std::countr_zero(bits)));
    }
  }
}

bool is_empty(const std::vector<std::uint64_t>& words) {
  return std::ranges::all_of(words, [](std::uint64_t w) { return w == 0; });
}

bool intersects(const std::vector<std::uint64_t>& a, const std::vector<std::uint64_t>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if ((a[i] & b[i]) != 0) return true;
  }
  return false;
}

}  // namespace

std::expected<GlobPattern, std::string> GlobPattern::compile(std::string_view text) {
  const auto tree = parse_glob(text);
  if (!tree) return std::unexpected(tree.error());
  Builder builder;
  const Positions ends = builder.add(*tree, {0});
  if (builder.too_large()) return std::unexpected("the pattern has too many optional parts in a row");

  GlobPattern pattern;
  pattern.positions_ = std::move(builder.positions);
  pattern.follow_ = std::move(builder.follow);
  const std::size_t count = pattern.positions_.size();
  pattern.words_ = (count + 63) / 64;
  pattern.final_.resize(pattern.words_);
  for (const auto end : ends) set_bit(pattern.final_, end);
  for (std::size_t c = 0; c < pattern.ascii_.size(); ++c) {
    auto& accepting = pattern.ascii_[c];
    accepting.resize(pattern.words_);
    for (std::size_t i = 1; i < count; ++i) {
      if (pattern.positions_[i].accepts(static_cast<std::uint32_t>(c))) set_bit(accepting, i);
    }
    pattern.last_byte_[c] = intersects(accepting, pattern.final_);
  }
  std::fill(pattern.last_byte_.begin() + 128, pattern.last_byte_.end(), true);
  if (pattern.words_ == 1) {
    for (const auto& next : pattern.follow_) {
      std::uint64_t bits = 0;
      for (const auto position : next) bits |= std::uint64_t{1} << position;
      pattern.follow_bits_.push_back(bits);
    }
  }
  return pattern;
}

bool GlobPattern::accepts_wide(std::size_t position, std::uint32_t c) const {
  return positions_[position].accepts(c);
}

void GlobPattern::step_one_word(Words& state, std::string_view text) const {
  std::uint64_t now = state[0];
  for (std::size_t at = 0; at < text.size() && now != 0;) {
    std::uint64_t next = 0;
    for (auto bits = now; bits != 0; bits &= bits - 1) {
      next |= follow_bits_[static_cast<std::size_t>(std::countr_zero(bits))];
    }
    const auto [c, length] = utf8_step(text, at);
    at += length;
    if (c < 128) {
      now = next & ascii_[c][0];
      continue;
    }
    now = 0;
    for (auto bits = next; bits != 0; bits &= bits - 1) {
      if (accepts_wide(static_cast<std::size_t>(std::countr_zero(bits)), c)) now |= bits & -bits;
    }
  }
  state[0] = now;
}

void GlobPattern::step(Words& state, std::string_view text) const {
  if (words_ == 1) return step_one_word(state, text);
  Words next(words_);
  for (std::size_t at = 0; at < text.size() && !is_empty(state);) {
    std::ranges::fill(next, 0);
    for_each_bit(state, [&](std::size_t position) {
      for (const auto to : follow_[position]) set_bit(next, to);
    });
    const auto [c, length] = utf8_step(text, at);
    at += length;
    if (c < 128) {
      for (std::size_t w = 0; w < words_; ++w) state[w] = next[w] & ascii_[c][w];
      continue;
    }
    std::ranges::fill(state, 0);
    for_each_bit(next, [&](std::size_t position) {
      if (accepts_wide(position, c)) set_bit(state, position);
    });
  }
}

bool GlobPattern::matches(std::string_view path) const {
  GlobCursor cursor(*this);
  cursor.enter("");
  return cursor.matches(path);
}

void GlobCursor::enter(std::string_view path) {
  directory_.assign(pattern_->words_, 0);
  directory_[0] = 1;
  pattern_->step(directory_, path);
}

bool GlobCursor::matches(std::string_view name) {
  if (!name.empty() && !pattern_->last_byte_[static_cast<unsigned char>(name.back())]) return false;
  scratch_ = directory_;
  pattern_->step(scratch_, name);
  return intersects(scratch_, pattern_->final_);
}

bool GlobCursor::may_contain(std::string_view name) {
  scratch_ = directory_;
  pattern_->step(scratch_, name);
  pattern_->step(scratch_, "/");
  return std::ranges::any_of(scratch_, [](std::uint64_t w) { return w != 0; });
}

}  // namespace sandbox_worker::tools
