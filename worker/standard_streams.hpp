#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace sandbox_worker::worker {

/// Opens /dev/null on each of 0, 1 and 2 that is closed: what is opened next would get its number, and lines
/// meant for stderr would be written into it. The first thing that main does.
void open_standard_streams();

/// Writes text to stdout, however long its reader takes. The error is a sentence; a reader that has gone is
/// none, as it has seen enough.
std::expected<void, std::string> print(std::string_view text);

/// Writes `sandbox-worker: <text>` and a line break to stderr. A reader that doesn't read is waited for half
/// a second, as the process has nothing else to do than to end.
void complain(std::string_view text);

}  // namespace sandbox_worker::worker
