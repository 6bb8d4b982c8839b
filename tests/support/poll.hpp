#pragma once

#include <chrono>
#include <thread>

namespace sandbox_worker::testing {

/// Asks every few milliseconds until `condition` holds; false when `limit` passes first. For what no event
/// tells of: files and processes.
template <class Condition>
bool poll(std::chrono::milliseconds limit, Condition condition) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace sandbox_worker::testing
