#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "tools/git_excludes.hpp"
#include "tools/ignore_rules.hpp"
#include "tools/unique_fd.hpp"

namespace sandbox_worker::tools {

/// Which of the files that say what to ignore are in a directory, as a listing of it has shown.
struct IgnoreFiles {
  bool dot_ignore = false;
  bool gitignore = false;
  bool git = false;

  void see(std::string_view name) noexcept {
    dot_ignore = dot_ignore || name == ".ignore";
    gitignore = gitignore || name == ".gitignore";
    git = git || name == ".git";
  }

  /// Asks for each by its name.
  static IgnoreFiles in(int directory) noexcept;
};

/// The scope of the directory `fd`, whose path is `base` bytes long (with its slash); `above` where it has no
/// rules of its own. Links are not followed, as git does. What is left out for want of room is marked there.
std::shared_ptr<const IgnoreScope> read_scope(int fd, IgnoreFiles present, std::size_t base,
                                              std::shared_ptr<const IgnoreScope> above);

/// What holds at a directory before its own files are read.
struct OuterScope {
  std::shared_ptr<const IgnoreScope> scope;
  std::string prefix;  // of the directory below the outermost scope: "" or "src/lib/"
  bool named = false;  // the caller asked for this directory, not for wherever it happens to be
};

/// The scope of the directory `fd` that `outer` is for. If it was named, its own rules don't hold when they
/// ignore everything in it, as those do that tools put into their caches; when they except names, they hold.
std::shared_ptr<const IgnoreScope> read_root_scope(int fd, IgnoreFiles present, const OuterScope& outer);

/// Collects the rules above the directory `path` (absolute), as far up as `open_directory` opens. Where rules
/// ignore `path` or a directory on the way to it, the caller named it all the same: they don't hold below
/// that directory, those of the directories from there on do.
OuterScope read_outer_scope(const std::string& path, UserExcludes user,
                            const std::function<UniqueFd(const std::string&)>& open_directory);

}  // namespace sandbox_worker::tools
