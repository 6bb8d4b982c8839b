#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <optional>
#include <string>

#include "protocol/ledger.hpp"
#include "worker/client/service.hpp"
#include "worker/config.hpp"
#include "worker/dispatcher.hpp"
#include "worker/end.hpp"
#include "worker/heartbeat.hpp"
#include "worker/input_store.hpp"
#include "worker/journal.hpp"
#include "worker/lease_record.hpp"
#include "worker/log.hpp"
#include "worker/machine.hpp"
#include "worker/outbox.hpp"
#include "worker/session_lock.hpp"
#include "worker/session_loop.hpp"

namespace sandbox_worker::worker {

/// One claimed work item from its first heartbeat to its teardown. One worker on this machine beats for the
/// item, and one serves its session: where another one does already, it is waited for.
/// Executor: the machine's, for everything; references outlive run().
class WorkItem {
 public:
  WorkItem(Machine& machine, const Config& config, const Log& log);

  /// Serves the session to its end, tears down, and gives the exit status of architecture.md#end.
  boost::asio::awaitable<int> run();

  /// Asks for the end, as a signal does.
  void stop(EndReason reason, std::string why) { end_.set(reason, std::move(why)); }
  /// Kills the shells without waiting, for an exit at once.
  void kill() { dispatcher_.kill(); }
  /// False when something did not stop in time, and may still be using what it was given.
  bool at_rest() const { return at_rest_; }

 private:
  Dispatcher::Events dispatcher_events();
  Heartbeat::Events heartbeat_events();
  std::unique_ptr<tools::CallRunner> make_tools();
  boost::asio::awaitable<bool> take_item();
  boost::asio::awaitable<int> hold_item();
  boost::asio::awaitable<void> serve();
  boost::asio::awaitable<bool> open_journal();
  boost::asio::awaitable<void> prepare();
  boost::asio::awaitable<bool> end_leftovers();
  boost::asio::awaitable<bool> copy_repository();
  boost::asio::awaitable<void> deliver(protocol::CallResult result);
  boost::asio::awaitable<void> deliver_again(std::string id, bool custom);
  void on_closed(const std::string& id);
  boost::asio::awaitable<int> tear_down(std::chrono::steady_clock::time_point deadline);
  void open_gate_when_ready();
  void on_woken(const Absence& absence);
  void on_lease_over(protocol::Lease::Verdict verdict, const std::string& why, bool first);
  bool must_settle_journal() const;
  boost::asio::awaitable<void> finish(std::chrono::milliseconds limit, boost::asio::awaitable<void> step,
                                      std::string what);
  boost::asio::awaitable<void> leave_journal(std::chrono::milliseconds limit);
  boost::asio::awaitable<void> remove_journal();
  boost::asio::awaitable<int> stop_item(int status);

  Machine& machine_;
  const boost::asio::any_io_executor executor_;
  const Config& config_;
  const Log& log_;
  const std::string session_dir_;  // files of the session that outlive us
  const std::chrono::steady_clock::time_point started_;

  SessionLock item_lock_;
  SessionLock session_lock_;
  LeaseRecord lease_record_;
  std::unique_ptr<Journal> journal_;  // once the session is ours

  HttpClient http_;
  Service service_;
  InputStore inputs_;
  protocol::Ledger ledger_;
  End end_;
  Gate first_beat_sent_;
  Gate lease_confirmed_;
  Gate journal_read_;
  Dispatcher dispatcher_;
  Outbox outbox_;
  SessionLoop session_;
  std::optional<Heartbeat> heartbeat_;  // once the item is ours

  std::chrono::steady_clock::time_point alone_since_;  // no worker before us sends anything any more
  bool waited_for_item_ = false;                       // another worker served it before us
  bool prepared_ = false;    // nothing of an earlier worker runs, and the journal is ours
  bool lease_gone_ = false;  // another worker's: nothing is posted, the item is left alone
  bool at_rest_ = true;
};

}  // namespace sandbox_worker::worker
