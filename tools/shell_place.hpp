#pragma once

#include <optional>
#include <string>

#include "tools/environment.hpp"

namespace sandbox_worker::tools {

/// Where a shell begins.
struct ShellPlace {
  std::string directory;
  std::string name;           // of the same, for $PWD
  std::string old_directory;  // for $OLDPWD; empty: none
};

/// That place with the names that a bash would take from `environment`; nothing where there is no such
/// directory. Any thread: asks file systems, which may hang.
std::optional<ShellPlace> find_shell_place(const std::string& directory, const Environment& environment);

}  // namespace sandbox_worker::tools
