#include "tests/support/scheduling.hpp"

#include <sched.h>
#include <sys/resource.h>

#include "tests/support/left_out.hpp"
#include "tests/support/on_a_thread.hpp"

namespace sandbox_worker::testing {
namespace {

bool become_normal() {
  const sched_param none{};
  return ::sched_setscheduler(0, SCHED_OTHER, &none) == 0 && ::setpriority(PRIO_PROCESS, 0, 0) == 0;
}

bool may_be_real_time() {
  bool allowed = false;
  on_a_thread([&] {
    const sched_param lowest{.sched_priority = 1};
    allowed = ::sched_setscheduler(0, SCHED_RR, &lowest) == 0;
  });
  return allowed;
}

}  // namespace

void on_a_normal_thread(const std::function<void()>& work) {
  on_a_thread([&] { become_normal() ? work() : leave_out("REALTIME"); });
}

void on_a_thread_that_may_run_ahead(const std::function<void()>& work) {
  may_be_real_time() ? on_a_normal_thread(work) : leave_out("REALTIME");
}

}  // namespace sandbox_worker::testing
