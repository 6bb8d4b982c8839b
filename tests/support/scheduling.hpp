#pragma once

#include <functional>

namespace sandbox_worker::testing {

/// Runs `work` on a thread of its own that is a normal one, of no special niceness, whatever the tests were
/// started with. Left out where that can't be.
void on_a_normal_thread(const std::function<void()>& work);

/// The same, left out where no thread may have a real-time priority.
void on_a_thread_that_may_run_ahead(const std::function<void()>& work);

}  // namespace sandbox_worker::testing
