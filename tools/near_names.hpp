#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/workspace.hpp"

namespace sandbox_worker::tools {

/// Up to three paths that a missing `path` may have been meant to be, written as `path` is, best first: other
/// case, a slip or two, the same name in a directory beside it.
std::vector<std::string> near_names(const Workspace& workspace, std::string_view path);

/// The same as the end of a message: "; did you mean a or b?", or nothing. Says it, too, if a link is there
/// that leads nowhere.
std::string near_names_hint(const Workspace& workspace, std::string_view path);

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
std::size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace sandbox_worker::tools
