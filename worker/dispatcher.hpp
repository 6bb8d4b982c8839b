#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "protocol/ledger.hpp"
#include "protocol/requests.hpp"
#include "tools/toolset.hpp"
#include "worker/log.hpp"
#include "worker/task.hpp"
#include "worker/wait.hpp"

namespace sandbox_worker::worker {

/// Runs the calls that the ledger gives out: those of one session thread in order on a shell of their own,
/// those of different threads side by side. Executor: one, for everything; join stop() before destruction.
class Dispatcher {
 public:
  using MakeToolset = std::function<std::unique_ptr<tools::Toolset>()>;
  /// Called once for each call that is to be answered.
  using OnResult = std::function<void(protocol::CallResult)>;
  /// Called for a call that ended without an answer of ours.
  using OnDropped = std::function<void(const std::string& id)>;

  Dispatcher(boost::asio::any_io_executor executor, MakeToolset make_toolset, OnResult on_result,
             OnDropped on_dropped, const Log& log);

  void run(protocol::Ledger::Run run);
  void cancel(const std::string& id, protocol::Ledger::CancelReason reason);

  /// Calls wait for this: the lease must be ours before anything runs.
  void open_gate() { gate_.open(); }

  /// Cuts what runs, leaves what hasn't begun, and waits until nothing runs. `answer`: give the cut calls'
  /// results.
  boost::asio::awaitable<void> stop(bool answer);
  /// Ends the shells and what they left. After stop().
  boost::asio::awaitable<void> close();
  /// Kills every shell without waiting, for an exit at once.
  void kill();

 private:
  struct Lane {
    std::deque<protocol::Ledger::Run> queue;
    std::string running;  // id; empty: none
    bool silent = false;  // the running call's result is not to be given
    boost::asio::cancellation_signal cancel;
    std::unique_ptr<tools::Toolset> toolset;
    std::unique_ptr<Task> task;
  };

  boost::asio::awaitable<void> drain(Lane& lane);
  boost::asio::awaitable<void> run_call(Lane& lane, protocol::Ledger::Run run);
  boost::asio::awaitable<tools::ToolResult> run_tool(Lane& lane, const protocol::ToolUse& call);
  void give(const protocol::ToolUse& call, tools::ToolResult result,
            std::chrono::steady_clock::time_point began);

  const boost::asio::any_io_executor executor_;
  const MakeToolset make_toolset_;
  const OnResult on_result_;
  const OnDropped on_dropped_;
  const Log& log_;

  Gate gate_;
  std::map<std::string, Lane> lanes_;  // by thread id; map: lanes stay where they are
  bool stopping_ = false;
};

}  // namespace sandbox_worker::worker
