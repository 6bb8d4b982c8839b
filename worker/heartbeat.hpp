#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>

#include "protocol/lease.hpp"
#include "worker/client/service.hpp"
#include "worker/log.hpp"
#include "worker/suspend.hpp"
#include "worker/wait.hpp"

namespace sandbox_worker::worker {

/// Keeps the lease: beats when protocol::Lease says so until it is cancelled or the lease is over.
/// Executor: the main thread's, where nothing else may block.
class Heartbeat {
 public:
  struct Events {
    std::function<void()> on_confirmed;  // the first success
    /// The lease is over, for the reason given; beating has ended. `first`: it was the very first answer.
    std::function<void(protocol::Lease::Verdict, std::string why, bool first)> on_over;
    // May be empty.
    std::function<void(const std::string& expected)> on_sending{};  // right before each beat
    std::function<void(const protocol::Lease&)> on_good{};          // after each success
    std::function<void()> on_void{};                                // the beat has surely not been handled
    std::function<void(const protocol::Lease::Watch&)> on_watch{};  // begun, or looked at again
  };

  /// References outlive run().
  Heartbeat(const boost::asio::any_io_executor& executor, Service& service, protocol::Lease lease,
            Events events, Gate& first_sent, const Log& log);

  boost::asio::awaitable<void> run();

  /// The process was away: what is under way is worth nothing, so a beat goes at once.
  void on_woken(const Absence& absence);

 private:
  boost::asio::awaitable<protocol::Lease::Verdict> beat();
  protocol::Lease::Verdict on_conflict(const BeatAnswer& answer, std::chrono::steady_clock::time_point now);

  Service& service_;
  protocol::Lease lease_;
  const Events events_;
  Gate& first_sent_;  // opened when the first beat is written, or has failed
  const Log& log_;
  Bell woken_;
  bool beat_at_once_ = false;
  std::string why_;
};

}  // namespace sandbox_worker::worker
