#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>

namespace sandbox_worker::testing {

/// Every file that a walk of `from` below `root` meets, .git left out, by its path from `root` on, and
/// whether it is found ignored. `home` is the directory of the user's git configuration; "" is none.
std::map<std::string, bool> walk_with_rules(const std::filesystem::path& root, const std::string& home = "",
                                            const std::string& from = "");

/// Those of `files` that git itself says are ignored (git check-ignore --no-index). Throws when git fails.
std::set<std::string> ignored_by_git(const std::filesystem::path& root, const std::filesystem::path& home,
                                     const std::map<std::string, bool>& files);

}  // namespace sandbox_worker::testing
