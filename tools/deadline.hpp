#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stop_token>

namespace sandbox_worker::tools {

/// When a search must end early: its caller asks for it, or its time is over. Shared by the threads of one
/// search.
class Deadline {
 public:
  /// A `limit` of zero is none.
  explicit Deadline(std::stop_token stop = {}, std::chrono::nanoseconds limit = {})
      : stop_(std::move(stop)), at_(limit.count() > 0 ? Clock::now() + limit : Clock::time_point::max()) {}

  /// One that passes after half of the time that is left, for a first step that must leave time for the next.
  Deadline half() const {
    if (at_ == Clock::time_point::max()) return Deadline(stop_);
    return Deadline(stop_, std::max(std::chrono::nanoseconds(1), (at_ - Clock::now()) / 2));
  }

  /// Notes that something was left out because a part of the time was over.
  void cut() const noexcept { ended_.store(true, std::memory_order_relaxed); }

  /// Cheap enough to be asked for each file; once true it stays true.
  bool passed() const noexcept {
    if (ended_.load(std::memory_order_relaxed)) return true;
    if (!stop_.stop_requested() && (at_ == Clock::time_point::max() || Clock::now() < at_)) return false;
    ended_.store(true, std::memory_order_relaxed);
    return true;
  }

  /// Whether the search was cut, without looking at the clock again.
  bool has_cut() const noexcept { return ended_.load(std::memory_order_relaxed); }
  bool interrupted() const noexcept { return stop_.stop_requested(); }

 private:
  using Clock = std::chrono::steady_clock;

  const std::stop_token stop_;
  const Clock::time_point at_;
  mutable std::atomic<bool> ended_ = false;
};

}  // namespace sandbox_worker::tools
