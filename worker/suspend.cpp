#include "worker/suspend.hpp"

#include <time.h>

#include <algorithm>

#include "worker/wait.hpp"

namespace sandbox_worker::worker {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using std::chrono::milliseconds;

namespace {

/// One wake-up a second costs nothing that can be measured, and finds a suspend within a second of its end.
constexpr milliseconds kTick = 1s;
/// The two clocks differ by nothing but suspended time, so this is never wrong.
constexpr milliseconds kSuspended = 1s;
/// A look that is late by so much was held up by more than busy processors. Shorter stops leave connections
/// as they are: no router forgets one so soon.
constexpr milliseconds kStopped = 4s;
/// A clock that is set forward by hand or by NTP looks like a resumed snapshot; it costs one reconnect.
constexpr milliseconds kJumped = 4s;

milliseconds read(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return std::chrono::duration_cast<milliseconds>(std::chrono::seconds(time.tv_sec) +
                                                  std::chrono::nanoseconds(time.tv_nsec));
}

}  // namespace

ClockReading ClockReading::now() {
  return {.monotonic = read(CLOCK_MONOTONIC), .boot = read(CLOCK_BOOTTIME), .wall = read(CLOCK_REALTIME)};
}

std::optional<Absence> SuspendDetector::look(const ClockReading& now) {
  const auto monotonic = now.monotonic - last_.monotonic;
  const auto boot = now.boot - last_.boot;
  const auto wall = now.wall - last_.wall;
  last_ = now;
  const auto late = monotonic - tick_;
  const auto suspended = boot - monotonic;
  const auto jumped = wall - boot;
  if (late < kStopped && suspended < kSuspended && jumped < kJumped) return std::nullopt;
  Absence absence;
  absence.length = std::max(late, 0ms) + std::max(suspended, 0ms);
  if (suspended >= kSuspended) absence.uncounted = suspended;
  if (jumped >= kJumped) {
    absence.clock_jumped = true;
    absence.length += jumped;
  }
  return absence;
}

asio::awaitable<void> watch_for_suspend(std::function<void(const Absence&)> on_woken) {
  SuspendDetector detector(ClockReading::now(), kTick);
  for (;;) {
    co_await sleep_until(std::chrono::steady_clock::now() + kTick);
    if (const auto absence = detector.look(ClockReading::now())) on_woken(*absence);
  }
}

}  // namespace sandbox_worker::worker
