#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "tools/bash.hpp"
#include "tools/bash_report.hpp"
#include "tools/descendants.hpp"
#include "tools/jobs.hpp"
#include "tools/oom_watch.hpp"
#include "tools/output.hpp"
#include "tools/shell_place.hpp"

namespace sandbox_worker::tools {

class ControlGroup;
class OutputPipes;
class Shell;

/// The shell of one lane, from call to call, and all that it starts. Use on the executor, one call at a time.
class BashSession : public std::enable_shared_from_this<BashSession> {
 public:
  explicit BashSession(BashOptions options);

  /// Runs a command to its end or the time limit's; `note` is a line to say besides. Throws nothing for a
  /// cancelled call: the caller must have switched that off.
  boost::asio::awaitable<ToolResult> run(std::string command, std::chrono::milliseconds limit,
                                         std::string note);

  /// What background jobs have printed since the last call, with marks around it; empty for nothing.
  std::string take_late_output();

  /// A shell as at the start, and nothing left of the old one; the problem otherwise.
  boost::asio::awaitable<std::optional<std::string>> restart();

  /// As Bash::close and kill.
  boost::asio::awaitable<void> close();
  void abandon();

 private:
  /// What a call is answered that isn't run.
  struct Refusal {
    std::string text;
    int status = 0;
    StopReason stop = StopReason::none;
  };

  /// Of the next shell, as find_shell_place().
  boost::asio::awaitable<std::optional<ShellPlace>> find_place(
      std::chrono::steady_clock::time_point deadline) const;
  boost::asio::awaitable<void> settle_directory();
  boost::asio::awaitable<std::optional<std::string>> start_shell(
      std::chrono::steady_clock::time_point deadline);
  std::optional<std::string> start_shell_in(ShellPlace place);
  boost::asio::awaitable<std::optional<std::string>> ready_shell(
      std::chrono::steady_clock::time_point deadline);
  boost::asio::awaitable<std::optional<Refusal>> refuse(std::string_view command,
                                                        std::chrono::steady_clock::time_point deadline);
  boost::asio::awaitable<std::optional<Refusal>> too_late(std::chrono::steady_clock::time_point deadline);
  boost::asio::awaitable<std::expected<StopReason, std::string>> run_in_shell(
      const std::string& command, std::chrono::steady_clock::time_point deadline);
  std::optional<std::string> begin(const std::string& command);
  boost::asio::awaitable<StopReason> wait_until(std::chrono::steady_clock::time_point deadline);
  boost::asio::awaitable<void> stop_by_stages(StopReason reason);
  boost::asio::awaitable<void> restore_variables();
  boost::asio::awaitable<std::string> new_jobs();
  ProcessMarks marks() const;
  void forget_shell();
  void on_output(std::size_t output, std::string_view bytes);
  void add_late(std::string_view bytes);
  void add_notices(std::string_view notices);
  void drain();
  void choose_output();
  OutputSet outputs_of(pid_t job) const;
  void finish(CallEnding::Kind kind, int status);

  const BashOptions options_;
  const std::uint64_t tag_;
  const OomCounter& memory_ = OomCounter::ours();
  boost::asio::steady_timer wake_;       // cancelled when the call has ended
  std::shared_ptr<OutputPipes> pipes_;   // of all shells
  std::shared_ptr<ControlGroup> group_;  // the same; null where there is none
  std::shared_ptr<Shell> shell_;
  std::set<pid_t> sessions_;            // of all shells so far, for finding what they left
  NextShell next_;                      // for when this one ends
  std::string exports_;                 // the same; empty: those of options_.environment
  Jobs jobs_;                           // that were left running by earlier calls
  std::vector<ProcessInfo> asked_;      // to end, in this call
  std::vector<ProcessInfo> killed_;     // in this call
  std::size_t output_pipe_ = 0;         // of the running call, or the last one
  std::unique_ptr<CallOutput> output_;  // of the running call
  std::unique_ptr<CallOutput> late_;    // of background jobs, since the last call
  bool restoring_ = false;              // variables of the shell before
  bool bare_ = false;                   // the shell hasn't got the variables yet that it should begin with
  std::string_view idle_end_;           // how a shell ended between calls, which the next one is told
  std::string begin_note_;              // lines on how a shell began otherwise, which the next call is told
  std::optional<CallEnding> ending_;    // of the running call
  std::string_view death_;              // how the last one ended that ended by itself
  bool begun_ = false;                  // the shell had taken something of it, as far as is known
};

}  // namespace sandbox_worker::tools
