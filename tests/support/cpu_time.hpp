#pragma once

#include <time.h>

#include <chrono>

namespace sandbox_worker::testing {

/// What this process has computed until now. For bounds on work: unlike the wall's clock it doesn't run on
/// while others have the processor.
inline std::chrono::nanoseconds cpu_time() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

}  // namespace sandbox_worker::testing
