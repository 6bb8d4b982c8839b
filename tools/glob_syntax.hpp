#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sandbox_worker::tools {

/// Which characters one position of a glob accepts.
struct GlobCharacters {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges;  // inclusive
  bool inverted = false;
  bool crosses_slash = false;  // else a slash is only accepted where it alone is meant

  bool accepts(std::uint32_t c) const;
};

struct GlobNode {
  enum class Kind { one, star, any_directories, anything, choice };
  Kind kind;
  GlobCharacters characters;                   // one
  std::vector<std::vector<GlobNode>> choices;  // choice
};

/// Parses a glob. `**/` becomes any_directories, a `**` at the end anything, and stars elsewhere one star.
/// The error is a sentence for the model.
std::expected<std::vector<GlobNode>, std::string> parse_glob(std::string_view pattern);

/// Whether a component is "..", in any choice of the braces.
bool has_parent_step(const std::vector<GlobNode>& glob);

/// Whether it begins with a slash, in any choice of the braces.
bool may_be_absolute(const std::vector<GlobNode>& glob);

/// The path that a pattern without wildcards names, without escapes; none if it has wildcards.
std::optional<std::string> literal_path(std::string_view pattern);

/// The leading directories that a glob names without wildcards, up to and with the slash and without escapes:
/// "src/lib/" of "src/lib/*.c"; and what is left of the pattern.
std::pair<std::string, std::string_view> split_literal_directories(std::string_view pattern);

}  // namespace sandbox_worker::tools
