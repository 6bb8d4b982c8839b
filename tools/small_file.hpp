#pragma once

#include <string>

#include "tools/unique_fd.hpp"

namespace sandbox_worker::tools {

struct SmallFile {
  std::string text;    // the first 4 MiB
  bool whole = false;  // nothing follows; also for what can't be read
};

/// The regular file `fd`; no text for anything else, and where reading fails.
SmallFile read_small_file(UniqueFd fd);

/// The same of a file by its name, relative to `directory`; links are followed. What isn't a regular file is
/// not opened, so that it can neither block nor do anything.
SmallFile read_small_file(int directory, const std::string& path);

}  // namespace sandbox_worker::tools
