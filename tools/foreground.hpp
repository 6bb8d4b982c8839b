#pragma once

#include <sys/types.h>

#include <set>
#include <vector>

#include "tools/jobs.hpp"
#include "tools/process_table.hpp"

namespace sandbox_worker::tools {

/// What a running call has in the foreground: children of the shell and what is below them, but no background
/// jobs. Looked up anew for each signal, as the shell goes on to its next command when one has ended.
class Foreground {
 public:
  /// `earlier`: the jobs from before the call. It must live as long as this.
  Foreground(pid_t shell, const Jobs& earlier) : shell_(shell), earlier_(earlier) {}

  /// Sends the signal once to each child and to what is below it then: what a child starts in answer, to tidy
  /// up, is its own. To be called every few milliseconds. SIGINT is kept from those whose death by it would
  /// be the shell's own. A program that has taken the shell's place (`exec`) gets the signal itself.
  void signal(int number);

  /// Whether anybody got the last signal.
  bool reached_any() const noexcept { return !signalled_.empty(); }

  /// Whether the shell has begun something that was not there at the first signal.
  bool went_on() const noexcept { return went_on_; }

  /// Processes that got a signal which they may survive, and those that got SIGKILL.
  const std::vector<ProcessInfo>& asked() const noexcept { return asked_; }
  const std::vector<ProcessInfo>& killed() const noexcept { return killed_; }

 private:
  std::vector<ProcessInfo> children_of_call() const;
  std::vector<pid_t> find();
  void send(pid_t pid);

  const pid_t shell_;
  const Jobs& earlier_;
  int number_ = 0;
  std::set<pid_t> signalled_;  // children, with number_; the shell where it was replaced
  std::set<pid_t> first_;      // children at the first signal, jobs too
  bool went_on_ = false;
  std::set<pid_t> young_;       // just forked when they were first seen
  std::set<pid_t> background_;  // jobs of this call
  std::vector<ProcessInfo> asked_;
  std::vector<ProcessInfo> killed_;
};

}  // namespace sandbox_worker::tools
