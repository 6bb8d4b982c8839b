#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "protocol/work.hpp"

namespace sandbox_worker::protocol {

/// Decides when to beat and what each answer means (wire.md#lease). Pure: told the time, never waits.
class Lease {
 public:
  using Clock = std::chrono::steady_clock;
  using TimePoint = Clock::time_point;

  enum class Verdict {
    hold,     // beat again at next_at()
    stop,     // the server wants the item stopped: tear down, force-stop, exit 0
    lost,     // another worker's, or expired: tear down, leave the item alone
    refused,  // a fatal 4xx: tear down, try the stop, fail
  };

  /// `last_heartbeat`: of a lease that the claimer, or a worker before us, has already begun.
  Lease(TimePoint now, std::optional<std::string> last_heartbeat);

  /// A lease that a 412 has shown while no beat had ever succeeded: it may be ours, or another worker's that
  /// renews it.
  struct Watch {
    std::string shown;
    TimePoint until;  // a live holder has renewed it by then
  };

  /// What a worker before us, that ended without an end of its lease, has left of it.
  struct Left {
    std::string expected;                          // for the next beat
    std::optional<std::chrono::milliseconds> ttl;  // nothing: no beat had succeeded
    TimePoint good_since;                          // when the last good beat was sent; without one, the first
    bool answer_lost = false;                      // a beat was sent whose answer isn't known
    std::optional<Watch> watch{};                  // it was looking
  };
  /// The same lease, gone on with. It may have run out: see check().
  static Lease resumed(Left left, TimePoint now);

  /// The beat that is due is sent now: gives its expected_last_heartbeat.
  std::string begin_beat(TimePoint now);

  Verdict on_reply(const HeartbeatReply& reply, TimePoint now);
  /// 412; `current`: the server's view, when the answer had one.
  Verdict on_conflict(const std::optional<LeaseState>& current, TimePoint now);
  /// 408, 409, 425, 429, 5xx, a connection error or a cut-off. `answer_lost`: the request may have been
  /// handled.
  Verdict on_failure(bool answer_lost, TimePoint now);
  /// The process was away for a while of which the clock of `now` did not count `uncounted`.
  /// `clock_jumped`: it may have missed any more time.
  void on_woken(std::chrono::milliseconds uncounted, bool clock_jumped);
  Verdict on_refused() { return Verdict::refused; }
  /// Without an answer: is the lease still ours?
  Verdict check(TimePoint now) const { return now >= give_up_at() ? Verdict::lost : Verdict::hold; }

  TimePoint next_at() const { return next_at_; }
  std::chrono::milliseconds interval() const;
  /// How long the answer to a beat that is sent now may take: an interval, but no more than half of what is
  /// left, so that one connection that died without a word doesn't cost the lease.
  std::chrono::milliseconds beat_limit(TimePoint now) const;
  /// From here on nothing may run any more.
  TimePoint expires_at() const { return good_since_ + ttl_; }
  /// When calls must begin to be cut, so that none is left when the lease expires.
  TimePoint give_up_at() const;
  /// Calls begin only after a beat has succeeded.
  bool confirmed() const { return confirmed_; }
  /// While it is so: the beat at its end tells.
  const std::optional<Watch>& watch() const { return watch_; }
  const std::string& last_heartbeat() const { return expected_; }
  std::chrono::milliseconds ttl() const { return ttl_; }

 private:
  std::string expected_;
  std::chrono::milliseconds ttl_;
  TimePoint good_since_;  // when the last good beat was sent; before the first, our start
  TimePoint sent_at_;
  TimePoint next_at_;
  int failures_ = 0;
  bool confirmed_ = false;
  bool was_good_ = false;     // a beat has succeeded, ours or that of the worker before us
  bool answer_lost_ = false;  // of the beat before the one under way
  bool adopted_ = false;      // the beat under way echoes what a 412 showed
  bool unsure_ = false;       // more time may have passed since the last good beat than we know
  std::optional<Watch> watch_;
};

}  // namespace sandbox_worker::protocol
