#pragma once

#include <expected>
#include <string>

#include "worker/config.hpp"

namespace sandbox_worker::worker {

/// Makes the directory for the worker's private files: `given`, else the first of the usual places that can
/// be made. It is ours alone (0700) or refused: in a shared /tmp another user may have made it first. The
/// error names what to set.
std::expected<std::string, std::string> open_runtime_dir(const std::string& given,
                                                         const Environment& environment);

/// Makes a directory that only this user can enter; one that is there already must be like that.
std::expected<void, std::string> make_private_dir(const std::string& path);

}  // namespace sandbox_worker::worker
