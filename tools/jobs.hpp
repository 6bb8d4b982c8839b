#pragma once

#include <sys/types.h>

#include <map>
#include <span>
#include <string>
#include <vector>

#include "tools/descendants.hpp"
#include "tools/process_table.hpp"

namespace sandbox_worker::tools {

/// The background jobs of one lane: children of its shell, and orphans of it that came to this process. Each
/// is told once. Reads a few small files of /proc at each look.
class Jobs {
 public:
  struct Job {
    pid_t pid = 0;
    std::string command;  // empty: a part of the shell itself, or not set yet
  };
  struct Look {
    std::vector<Job> fresh;  // not remembered yet
    bool early = false;      // one may be about to become its program: look again soon
    std::map<pid_t, unsigned long long> running;
  };

  /// What runs now, of the shell's `children` and of the orphans.
  Look look(std::span<const pid_t> children, const ProcessMarks& marks) const;
  /// From now on these are known, and others are forgotten.
  void remember(Look look) { known_ = std::move(look.running); }
  bool knows(const ProcessInfo& process) const;

 private:
  std::map<pid_t, unsigned long long> known_;  // pid and begin of each
};

/// "[still running in the background: 17 sleep 1000, ...]"; empty for no jobs.
std::string jobs_line(const std::vector<Jobs::Job>& jobs);

}  // namespace sandbox_worker::tools
