#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tools/ignore_pattern.hpp"

namespace sandbox_worker::tools {

enum class IgnoreDecision { none, ignored, included };

/// What may still be kept of the rules that hold in one place, so that their memory is bounded: a rule takes
/// some 400 bytes, and up to 8 for each of its text. What doesn't fit any more is left out.
struct IgnoreRoom {
  std::size_t rules = 50'000;
  std::size_t bytes = 4 * 1024 * 1024;  // of their lines
  bool left_out = false;
};

/// The rules of one ignore file: the last one that matches decides.
class IgnoreRules {
 public:
  /// Keeps what fits into `room`, from the beginning on.
  static IgnoreRules parse(std::string_view text, IgnoreRoom& room);

  bool empty() const noexcept { return patterns_.empty(); }

  /// `path` is relative to the directory that the rules are for; `name` is its last component.
  IgnoreDecision decide(std::string_view path, std::string_view name, bool is_directory) const;

  /// What they say of all that is in `directory`: ignored, when the last rule about every name there has no
  /// exceptions after it; included, when it has; none without such a rule. Exceptions that reach further than
  /// it don't count above that directory ("!*.c" is one to "*", not to "logs/*"), nor do those for the files
  /// that only say what to ignore, or keep an empty directory in a repository.
  IgnoreDecision decide_all_in(std::string_view directory) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using Index = std::unordered_map<std::string, std::vector<std::uint32_t>, Hash, std::equal_to<>>;

  void add(IgnorePattern pattern);

  std::vector<IgnorePattern> patterns_;
  Index by_name_;                        // patterns that are a plain name
  Index by_path_;                        // patterns that are a plain path
  Index by_extension_;                   // patterns like *.o
  std::vector<std::uint32_t> in_order_;  // all others
};

struct UserExcludes;

/// The rules that hold in a directory: its own, those of the directories above it, and the user's.
struct IgnoreScope {
  std::shared_ptr<const IgnoreScope> above;
  std::size_t base = 0;     // bytes of a path, up to and with the slash, that lead to the directory
  bool repository = false;  // the top of one: the .gitignore files above it don't count
  IgnoreRoom room;          // for the rules of directories below
  IgnoreRules dot_ignore;   // .ignore
  IgnoreRules gitignore;    // .gitignore
  IgnoreRules exclude;      // .git/info/exclude
  // git's core.excludesFile, in a repository and in the outermost scope; null: none.
  std::shared_ptr<const IgnoreRules> global;
  std::shared_ptr<const UserExcludes> user;  // for the repositories that a walk meets; null: none
};

/// Whether git (or a .ignore file, which goes first) ignores `path`, as far as the path itself is concerned:
/// a walk from above has asked the same of its parents. `path` is relative to the outermost scope's directory
/// and lies in that of `scope`.
bool is_ignored(const IgnoreScope* scope, std::string_view path, std::string_view name, bool is_directory);

/// The same of all that is in `directory` ("src/lib/"): "dist/*" ignores all of dist without ignoring dist.
bool ignores_all_in(const IgnoreScope* scope, std::string_view directory);

}  // namespace sandbox_worker::tools
