#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <optional>

namespace sandbox_worker::worker {

/// Three clocks at one moment, each from a beginning of its own.
struct ClockReading {
  std::chrono::milliseconds monotonic{};  // stands still while the machine is suspended
  std::chrono::milliseconds boot{};       // goes on meanwhile
  std::chrono::milliseconds wall{};       // set forward after a snapshot of the machine is resumed

  static ClockReading now();
};

/// A time in which this process did not run.
struct Absence {
  std::chrono::milliseconds length{};     // at most
  std::chrono::milliseconds uncounted{};  // of it, what the monotonic clock missed for certain
  bool clock_jumped = false;  // the monotonic clock may have missed more: only the wall clock tells
};

/// Tells from looks at the clocks, due every `tick`, whether the process was away in between: the machine
/// suspended, resumed from a snapshot, or the process stopped. Pure.
class SuspendDetector {
 public:
  SuspendDetector(ClockReading start, std::chrono::milliseconds tick) : last_(start), tick_(tick) {}

  std::optional<Absence> look(const ClockReading& now);

 private:
  ClockReading last_;
  const std::chrono::milliseconds tick_;
};

/// Looks at the clocks every second and calls `on_woken` after an absence, until it is cancelled.
/// Executor: the coroutine's.
boost::asio::awaitable<void> watch_for_suspend(std::function<void(const Absence&)> on_woken);

}  // namespace sandbox_worker::worker
