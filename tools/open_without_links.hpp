#pragma once

#include <string>

#include "tools/unique_fd.hpp"

namespace sandbox_worker::tools {

/// Opens `path`, relative to the directory `root` ("" is the directory itself), without following any link on
/// the way, so that nothing that changes meanwhile leads out of `root`. Paths longer than the kernel takes at
/// once are fine. O_CLOEXEC is added to `flags`, without O_PATH also O_NOCTTY and O_NONBLOCK. An empty result
/// means errno says why.
UniqueFd open_without_links(int root, const std::string& path, int flags);

}  // namespace sandbox_worker::tools
