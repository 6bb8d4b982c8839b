#pragma once

#include <string>

namespace sandbox_worker::worker {

/// What --help prints: at most 80 columns wide.
std::string help_text();

}  // namespace sandbox_worker::worker
