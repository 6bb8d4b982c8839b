#pragma once

#include <sys/types.h>

#include <map>
#include <set>
#include <vector>

#include "tools/jobs.hpp"
#include "tools/process_table.hpp"

namespace sandbox_worker::tools {

/// What is known of a child of the shell at one moment.
struct ChildFacts {
  bool read_by_shell = false;  // the shell has its output open: a command substitution, mostly
  bool shell_waits = false;    // for a child, and so starts nothing newer
  bool in_newest = false;      // it is the newest child, or prints into it, maybe by way of others
  bool no_job = false;         // the newest and what prints into it, by their signals or input
};

enum class ChildPlace { foreground, background, unknown };

ChildPlace place_of(const ChildFacts& child);

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

  /// Stops the shell, so that it starts nothing more, and kills what it has in the foreground. It is to be
  /// ended then.
  void kill_with_stopped_shell();

  /// Whether anybody got the last signal.
  bool reached_any() const noexcept { return !signalled_.empty(); }

  /// Whether the shell has begun something that was not there at the first signal.
  bool went_on() const noexcept { return went_on_; }

  /// Processes that got a signal which they may survive, and those that got SIGKILL.
  const std::vector<ProcessInfo>& asked() const noexcept { return asked_; }
  const std::vector<ProcessInfo>& killed() const noexcept { return killed_; }

 private:
  struct Newest;
  std::vector<ProcessInfo> children_of_call() const;
  bool is_settled(const ProcessInfo& child) const;
  Newest newest_of(const std::vector<ProcessInfo>& children) const;
  bool is_foreground(pid_t child, const ChildFacts& facts);
  bool is_newest(pid_t child) const;
  ChildFacts facts_of(pid_t child, const Newest& newest, bool replaced) const;
  std::vector<pid_t> find(bool replaced);
  void send(pid_t pid);

  const pid_t shell_;
  const Jobs& earlier_;
  int number_ = 0;
  std::set<pid_t> signalled_;  // children, with number_; the shell where it was replaced
  std::set<pid_t> first_;      // children at the first signal, jobs too
  bool went_on_ = false;
  bool shell_stopped_ = false;
  std::set<pid_t> seen_;  // children, by an earlier look
  std::map<pid_t, ChildPlace> decided_;
  std::vector<ProcessInfo> asked_;
  std::vector<ProcessInfo> killed_;
};

}  // namespace sandbox_worker::tools
