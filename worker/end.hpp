#pragma once

#include <optional>
#include <string>
#include <utility>

#include "worker/wait.hpp"

namespace sandbox_worker::worker {

/// Why a run is over; each has its own way of tearing down and its exit status (architecture.md#end).
enum class EndReason {
  session_over,  // terminated or deleted: post nothing
  idle,
  item_stopped,  // the service wants the item stopped
  time_is_up,    // --max-run
  signal,
  lease_lost,  // post nothing, leave the item alone
  failed,
};

/// Whether results that wait may still be posted.
bool posts_results(EndReason reason);
/// architecture.md#end
int exit_status(EndReason reason);

/// The end of a run: the first reason counts. Executor: one, for everything.
class End {
 public:
  explicit End(const boost::asio::any_io_executor& executor) : gate_(executor) {}

  void set(EndReason reason, std::string why) {
    if (reason_) return;
    reason_ = reason;
    why_ = std::move(why);
    gate_.open();
  }
  bool is_set() const { return reason_.has_value(); }
  EndReason reason() const { return *reason_; }
  const std::string& why() const { return why_; }
  boost::asio::awaitable<void> wait() { return gate_.wait(); }

 private:
  Gate gate_;
  std::optional<EndReason> reason_;
  std::string why_;
};

}  // namespace sandbox_worker::worker
