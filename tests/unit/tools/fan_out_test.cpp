#include "tools/fan_out.hpp"

#include <doctest/doctest.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <stdexcept>
#include <thread>

using namespace sandbox_worker::tools;
using namespace std::chrono_literals;

namespace {

/// Fans out to one helper until it was there to run `help` beside the caller: those of calls before may not
/// have ended yet, and count until then.
void with_a_helper(const std::function<void()>& help) {
  bool helped = false;
  for (const auto end = std::chrono::steady_clock::now() + 30s; !helped;) {
    REQUIRE(std::chrono::steady_clock::now() < end);
    std::promise<void> began;
    fan_out(2, [&, future = began.get_future().share()](unsigned index) {
      if (index == 0) {
        helped = future.wait_for(100ms) == std::future_status::ready;
        return;
      }
      began.set_value();
      help();
    });
  }
}

}  // namespace

TEST_CASE("fan_out: the caller alone, where there is no other thread") {
  unsigned calls = 0;
  fan_out(1, [&](unsigned index) {
    CHECK(index == 0);
    ++calls;
  });
  CHECK(calls == 1);
}

TEST_CASE("fan_out: a helper works beside the caller, on every processor that the caller may use") {
  const auto allowed = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    ::sched_getaffinity(0, sizeof set, &set);
    return set;
  };
  const cpu_set_t callers = allowed();
  cpu_set_t helpers = {};
  with_a_helper([&] { helpers = allowed(); });
  CHECK(CPU_EQUAL(&callers, &helpers));
}

TEST_CASE("fan_out: all calls together have no more helpers than one alone") {
  constexpr unsigned kThreads = 3;
  std::atomic<unsigned> running = 0;
  std::atomic<unsigned> most = 0;
  const auto work = [&](unsigned index) {
    if (index == 0) {
      for (int i = 0; i < 100; ++i) std::this_thread::yield();
      return;
    }
    const unsigned now = ++running;
    for (unsigned seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
    }
    std::this_thread::yield();
    --running;
  };
  const auto search = [&] {
    for (int i = 0; i < 200; ++i) fan_out(kThreads, work);
  };
  std::thread other(search);
  search();
  other.join();
  CHECK(most < kThreads);
}

TEST_CASE("fan_out: an exception of a helper reaches the caller, when all have ended") {
  CHECK_THROWS_WITH(with_a_helper([] { throw std::runtime_error("from the helper"); }), "from the helper");
}
