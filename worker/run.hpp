#pragma once

#include "worker/config.hpp"

namespace sandbox_worker::worker {

/// Serves the session that `config` names, with signals handled, and gives the exit status. Errors of the
/// machine before the first request are told on stderr and are status 2.
int run(const Config& config, const Environment& environment);

}  // namespace sandbox_worker::worker
