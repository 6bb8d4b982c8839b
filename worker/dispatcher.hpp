#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <expected>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "protocol/ledger.hpp"
#include "protocol/requests.hpp"
#include "tools/toolset.hpp"
#include "worker/config.hpp"
#include "worker/log.hpp"
#include "worker/task.hpp"
#include "worker/wait.hpp"

namespace sandbox_worker::worker {

/// Runs the calls that the ledger gives out: those of one session thread in order, those of different threads
/// side by side. Each thread has a shell of its own, or all share one (ShellScope): then their bash calls run
/// one after another, in the order in which their turns came. A thread's shell is closed when the thread has
/// ended, and when too many are open while it is idle: its next bash call says so. Executor: one, for
/// everything; join stop() and close() before destruction.
class Dispatcher {
 public:
  using MakeTools = std::function<std::unique_ptr<tools::CallRunner>()>;
  struct Events {
    /// Right before a call is run. An error: it is not run, and answered with that.
    std::function<std::expected<void, std::string>(const std::string& id)> on_begin;
    /// Once for each call that is to be answered. The next one of its thread waits for it.
    std::function<boost::asio::awaitable<void>(protocol::CallResult)> on_result;
    /// A call ended without an answer of ours.
    std::function<void(const std::string& id)> on_dropped;
    /// A call that a worker before us has begun is to be answered, and not to be run.
    std::function<boost::asio::awaitable<void>(std::string id, bool custom)> on_begun_before;
    /// The input of a call that is to be run and is kept elsewhere. The error is a sentence.
    std::function<boost::asio::awaitable<std::expected<nlohmann::json, std::string>>(
        std::shared_ptr<protocol::KeptInput>)>
        bring_back;
  };

  Dispatcher(boost::asio::any_io_executor executor, MakeTools make_tools, Events events, ShellScope scope,
             const Log& log);

  void run(protocol::Ledger::Run run);
  void cancel(const std::string& id, protocol::Ledger::CancelReason reason);

  /// No call of this thread will come any more: once those that it has are over, nothing of it is left.
  void end_thread(const std::string& thread);

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
    explicit Lane(const boost::asio::any_io_executor& executor)
        : wake(executor, boost::asio::steady_timer::time_point::max()) {}

    std::deque<protocol::Ledger::Run> queue;
    std::string running;  // id; empty: none
    bool silent = false;  // the running call's result is not to be given
    boost::asio::cancellation_signal cancel;
    boost::asio::steady_timer
        wake;  // cancelled when what the lane waits for may have come, or its queue changed
    std::unique_ptr<tools::CallRunner> tools;
    std::unique_ptr<Task> task;
    bool draining = false;  // the task looks at the queue once more; its end is told a turn of the loop later
    bool ended = false;     // its thread has
    bool has_shell = false;
    bool shell_closed = false;   // of an idle lane, which the next bash call says
    std::uint64_t last_use = 0;  // of its shell
  };
  /// What a lane had, until what it left running has ended.
  struct Closing {
    std::unique_ptr<tools::CallRunner> tools;
    Task task;
  };

  boost::asio::awaitable<void> drain(Lane& lane);
  bool needs_shared_shell(const Lane& lane) const;
  boost::asio::awaitable<bool> take_shared_shell(Lane& lane);
  void leave_shared_shell(Lane& lane);
  void remove(Lane& lane);
  void close_tools(Lane& lane);
  void take_shell(Lane& lane);
  boost::asio::awaitable<void> run_call(Lane& lane, protocol::Ledger::Run run);
  boost::asio::awaitable<tools::ToolResult> run_tool(Lane& lane, protocol::ToolUse& call);
  boost::asio::awaitable<void> give(const protocol::ToolUse& call, tools::ToolResult result,
                                    std::chrono::steady_clock::time_point began);
  boost::asio::awaitable<void> answer_again(const protocol::ToolUse& call);

  const boost::asio::any_io_executor executor_;
  const MakeTools make_tools_;
  const Events events_;
  const ShellScope scope_;
  const Log& log_;

  Gate gate_;
  std::map<std::string, Lane> lanes_;  // by thread id; map: lanes stay where they are
  bool stopping_ = false;
  std::list<Closing> closing_;
  std::uint64_t shell_uses_ = 0;

  // ShellScope::session
  std::unique_ptr<tools::CallRunner> shared_tools_;
  std::deque<Lane*> shell_line_;  // who has the shell, then who waits for it
};

}  // namespace sandbox_worker::worker
