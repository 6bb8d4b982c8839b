#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <optional>

#include "protocol/ledger.hpp"
#include "tools/toolset.hpp"
#include "worker/client/service.hpp"
#include "worker/config.hpp"
#include "worker/dispatcher.hpp"
#include "worker/end.hpp"
#include "worker/heartbeat.hpp"
#include "worker/log.hpp"
#include "worker/outbox.hpp"
#include "worker/session_loop.hpp"

namespace sandbox_worker::worker {

/// One claimed work item from its first heartbeat to its teardown.
/// Executor: one, for everything; references outlive run().
class WorkItem {
 public:
  WorkItem(boost::asio::any_io_executor executor, const Config& config, tools::ToolsetOptions tools,
           const Log& log);

  /// Serves the session to its end, tears down, and gives the exit status of architecture.md#end.
  boost::asio::awaitable<int> run();

  /// Asks for the end, as a signal does.
  void stop(EndReason reason, std::string why) { end_.set(reason, std::move(why)); }
  /// Kills the shells without waiting, for an exit at once.
  void kill() { dispatcher_.kill(); }
  /// False when something did not stop in time, and may still be using what it was given.
  bool at_rest() const { return at_rest_; }

 private:
  boost::asio::awaitable<void> serve();
  boost::asio::awaitable<void> prepare();
  boost::asio::awaitable<int> tear_down();
  void open_gate_when_ready();
  void on_woken(const Absence& absence);
  void on_lease_over(protocol::Lease::Verdict verdict, const std::string& why, bool first);
  boost::asio::awaitable<int> stop_item(int status);

  const boost::asio::any_io_executor executor_;
  const Config& config_;
  const tools::ToolsetOptions tools_;
  const Log& log_;
  const std::chrono::steady_clock::time_point started_;

  HttpClient http_;
  Service service_;
  protocol::Ledger ledger_;
  End end_;
  Gate first_beat_sent_;
  Dispatcher dispatcher_;
  Outbox outbox_;
  SessionLoop session_;
  Heartbeat heartbeat_;

  bool lease_confirmed_ = false;
  bool prepared_ = false;
  bool lease_gone_ = false;  // another worker's: nothing is posted, the item is left alone
  bool at_rest_ = true;
};

}  // namespace sandbox_worker::worker
