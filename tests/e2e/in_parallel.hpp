#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace session_server {

/// Runs `test(case)` for every case, `width` at a time, each of which mostly waits. What it returns is what
/// went wrong (empty: nothing), as is what it throws. Gives all that went wrong, in the order of the cases.
template <class Case, class Test>
std::vector<std::string> failures_in_parallel(const std::vector<Case>& cases, std::size_t width, Test test) {
  std::vector<std::string> outcomes(cases.size());
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t i = next++; i < cases.size(); i = next++) {
      try {
        outcomes[i] = test(cases[i]);
      } catch (const std::exception& error) {
        outcomes[i] = error.what();
      }
    }
  };
  {
    std::vector<std::jthread> workers;
    for (std::size_t i = 0; i < width; ++i) workers.emplace_back(work);
  }
  std::erase(outcomes, std::string());
  return outcomes;
}

}  // namespace session_server
