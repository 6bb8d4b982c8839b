#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "tools/glob_syntax.hpp"

namespace sandbox_worker::tools {

/// A glob compiled to an automaton over characters: `*` and `?` stay within a component, `**` as a whole
/// component stands for any number of directories, `[a-z]`, `[!a]`, `{a,b{c,d}}`, and `\` before a character
/// that is meant literally. Braces add to the automaton and never multiply it, so time and memory are bounded
/// by the length of the pattern times that of the path.
class GlobPattern {
 public:
  /// `pattern` is relative ("src/**/*.c"). The error is a sentence for the model.
  static std::expected<GlobPattern, std::string> compile(std::string_view pattern);

  bool matches(std::string_view path) const;

 private:
  friend class GlobCursor;

  // A set of positions, one bit each; bit 0 is the beginning.
  using Words = std::vector<std::uint64_t>;

  GlobPattern() = default;
  void step(Words& state, std::string_view text) const;
  void step_one_word(Words& state, std::string_view text) const;
  bool accepts_wide(std::size_t position, std::uint32_t c) const;

  std::size_t words_ = 1;
  std::vector<GlobCharacters> positions_;           // what each position accepts
  std::vector<std::vector<std::uint32_t>> follow_;  // where each position leads
  std::vector<std::uint64_t> follow_bits_;          // the same as bits, when one word is enough
  std::array<Words, 128> ascii_;                    // the positions that accept each ASCII character
  Words final_;
  std::array<bool, 256> last_byte_{};  // what a matching path can end in
};

/// A place in a tree, as a pattern sees it: which of its states a directory's path leads to, so that names
/// are judged without the path before them.
class GlobCursor {
 public:
  explicit GlobCursor(const GlobPattern& pattern) : pattern_(&pattern) {}

  /// `path` is "" or ends in a slash.
  void enter(std::string_view path);
  bool matches(std::string_view name);
  /// Whether anything below the subdirectory `name` could match.
  bool may_contain(std::string_view name);

 private:
  const GlobPattern* pattern_;
  GlobPattern::Words directory_;
  GlobPattern::Words scratch_;
};

}  // namespace sandbox_worker::tools
