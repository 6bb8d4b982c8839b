#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tools/ignore_rules.hpp"
#include "tools/small_file.hpp"

namespace sandbox_worker::tools {

/// What the user's configuration of git says about ignored files, wherever they are.
struct UserExcludes {
  std::string home;                          // "" is none
  std::string in_repository;                 // a file of rules in the top directory of each; "" is none
  std::shared_ptr<const IgnoreRules> rules;  // null: none
  IgnoreRoom room;                           // that these have left
};

/// The files that configure git outside of any repository; an empty name is none.
struct GitConfiguration {
  std::string home;
  std::string xdg_config;  // empty: .config in `home`
  std::string system;      // the file that all users share
};

/// Reads git's core.excludesFile: what the last of the system's, the XDG and the home directory's
/// configuration names, else git/ignore in the XDG directory.
UserExcludes read_user_excludes(const GitConfiguration& configuration);

/// What holds in a whole repository, below what its .gitignore files say.
struct RepositoryExcludes {
  IgnoreRules exclude;                       // .git/info/exclude
  std::shared_ptr<const IgnoreRules> rules;  // core.excludesFile, the repository's own or the user's
};

/// `directory` has an entry ".git": the repository itself, or, in a worktree or submodule, a file that says
/// where it is; nothing where it is neither. These files are git's own, so links in them lead where git would
/// go.
std::optional<RepositoryExcludes> read_repository_excludes(int directory, const UserExcludes& user,
                                                           IgnoreRoom& room);

/// The rules in a file of which only the beginning may have been read.
IgnoreRules rules_of(const SmallFile& file, IgnoreRoom& room);

/// The value of core.excludesFile in a git configuration file; the last one counts. `include` gives the value
/// of core.excludesFile in the file that an include.path names.
using ReadInclude = std::function<std::optional<std::string>(std::string path)>;
std::optional<std::string> excludes_file_of(std::string_view configuration, const ReadInclude& include);

}  // namespace sandbox_worker::tools
