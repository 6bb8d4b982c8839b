#pragma once

#include <string>

#include "tools/unique_fd.hpp"

namespace sandbox_worker::tools {

/// The first 4 MiB of the regular file `fd`; empty for anything else, and where reading fails.
std::string read_small_file(UniqueFd fd);

/// The same of a file by its name, relative to `directory`; links are followed. What isn't a regular file is
/// not opened, so that it can neither block nor do anything.
std::string read_small_file(int directory, const std::string& path);

}  // namespace sandbox_worker::tools
