#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sandbox_worker::tools {

/// One line of a .gitignore file, with git's meaning to the letter (wildmatch, bytes not characters).
class IgnorePattern {
 public:
  /// Blank lines, comments and lines that can never match give none.
  static std::optional<IgnorePattern> parse(std::string_view line);

  bool negated() const noexcept { return negated_; }
  bool directory_only() const noexcept { return directory_only_; }
  /// Whether it is compared with the last component only.
  bool by_name() const noexcept { return by_name_; }
  /// Whether it is about names in all directories: by name, or with stars for all that leads there.
  bool anywhere() const noexcept;

  /// The whole text, when the pattern has no wildcard.
  const std::string* exact() const noexcept { return exact_ ? &literal_ : nullptr; }
  /// ".ext" of a pattern "*.ext" without further dots or wildcards.
  const std::string* extension() const noexcept { return extension_ ? &literal_ : nullptr; }

  /// `text` is the last component when by_name(), else the path relative to the directory of the file.
  /// Time is polynomial for every pattern: stars only move forward.
  bool matches(std::string_view text) const;

  /// Whether it is about names directly in `directory`, which is "" or "src/lib/", relative to that of the
  /// file.
  bool concerns(std::string_view directory) const;
  /// Its last component, as it is written: of the directories that it concerns, the names that it matches.
  const std::string& last_component() const noexcept { return last_component_; }

 private:
  enum class Kind : std::uint8_t { byte, any, set, star, anything, any_directories };
  struct Token {
    Kind kind;
    std::uint8_t byte;
    std::uint16_t set;  // a line is too short for more
  };
  using Set = std::bitset<256>;

  bool compile(std::string_view glob);
  bool compile_stars(std::string_view glob, std::size_t& at);
  std::optional<Set> compile_set(std::string_view glob, std::size_t& at) const;
  bool accepts(const Token& token, char c) const;
  bool matches(std::span<const Token> tokens, std::string_view text) const;
  void classify(std::string_view glob);
  std::string longest_literal() const;

  bool negated_ = false;
  bool directory_only_ = false;
  bool by_name_ = false;
  bool exact_ = false;
  bool extension_ = false;
  std::string needed_;   // the longest text without wildcards
  std::string literal_;  // what precedes the first wildcard; or the whole, or the extension
  std::string last_component_;
  std::vector<Token> tokens_;         // none where it is exact
  std::size_t directory_tokens_ = 0;  // those up to the last that takes a slash
  std::vector<Set> sets_;
};

}  // namespace sandbox_worker::tools
