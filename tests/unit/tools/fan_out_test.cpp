#include "tools/fan_out.hpp"

#include <doctest/doctest.h>
#include <sched.h>

#include <atomic>
#include <future>
#include <stdexcept>
#include <thread>

using namespace sandbox_worker::tools;
using namespace std::chrono_literals;

TEST_CASE("fan_out: the caller alone, where there is no other thread") {
  unsigned calls = 0;
  fan_out(1, [&](unsigned index) {
    CHECK(index == 0);
    ++calls;
  });
  CHECK(calls == 1);
}

TEST_CASE("fan_out: a helper works beside the caller, on every processor that the caller may use") {
  std::promise<cpu_set_t> helper;
  fan_out(2, [&](unsigned index) {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    ::sched_getaffinity(0, sizeof allowed, &allowed);
    if (index == 1) return helper.set_value(allowed);
    auto theirs = helper.get_future();
    REQUIRE(theirs.wait_for(30s) == std::future_status::ready);
    const cpu_set_t other = theirs.get();
    CHECK(CPU_EQUAL(&allowed, &other));
  });
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
  std::promise<void> thrown;
  const auto work = [&](unsigned index) {
    if (index == 0) {
      REQUIRE(thrown.get_future().wait_for(30s) == std::future_status::ready);
      return;
    }
    thrown.set_value();
    throw std::runtime_error("from the helper");
  };
  CHECK_THROWS_WITH(fan_out(2, work), "from the helper");
}
