#pragma once

#include <exception>
#include <thread>

namespace sandbox_worker::testing {

/// Runs `work` on a thread of its own, to its end. What it throws, a failed REQUIRE too, is thrown here.
template <class Work>
void on_a_thread(Work&& work) {
  std::exception_ptr error;
  std::thread([&] {
    try {
      work();
    } catch (...) {
      error = std::current_exception();
    }
  }).join();
  if (error) std::rethrow_exception(error);
}

}  // namespace sandbox_worker::testing
