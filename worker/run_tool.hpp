#pragma once

#include "worker/command_line.hpp"

namespace sandbox_worker::worker {

/// Runs one tool in the workdir, prints its result, and ends what it left running. Gives the exit status: 1
/// when the result is an error, 128 + n when signal n cut the call.
int run_tool(const ToolCommand& command, const Environment& environment);

}  // namespace sandbox_worker::worker
