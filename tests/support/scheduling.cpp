#include "tests/support/scheduling.hpp"

#include <sched.h>

#include <thread>

namespace sandbox_worker::testing {

bool may_run_ahead() {
  bool allowed = false;
  std::thread([&] {
    const sched_param lowest{.sched_priority = 1};
    allowed = ::sched_setscheduler(0, SCHED_RR, &lowest) == 0;
  }).join();
  return allowed;
}

}  // namespace sandbox_worker::testing
