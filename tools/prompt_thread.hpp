#pragma once

namespace sandbox_worker::tools {

/// Asks the kernel to run the calling thread soon after it wakes, also while others keep all processors busy:
/// short turns instead of a larger share. Neither its threads nor its processes inherit that. Linux 6.12 and
/// later heed it; older kernels change nothing. Needs no privilege.
void wake_promptly() noexcept;

}  // namespace sandbox_worker::tools
