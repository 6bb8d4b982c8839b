#pragma once

#include <functional>

namespace sandbox_worker::tools {

/// Runs `work(0)` on the calling thread and `work(1)` … `work(threads - 1)` on threads of their own, as far
/// as they can be had: whoever has not begun when the caller's own share is done is left out, so `work(0)`
/// alone must be able to finish everything. All calls of the process together have at most `threads - 1` of
/// them. Returns when all that began have ended; throws the first exception that one of them threw.
void fan_out(unsigned threads, const std::function<void(unsigned)>& work);

}  // namespace sandbox_worker::tools
