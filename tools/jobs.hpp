#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tools/descendants.hpp"
#include "tools/output_pipe.hpp"
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
  /// What is kept of one, by its pid.
  struct Known {
    unsigned long long begun = 0;
    OutputSet outputs = 0;  // that it may print to
  };
  struct Look {
    std::vector<Job> fresh;  // not remembered yet
    bool early = false;      // one may be about to become its program: look again soon
    std::map<pid_t, Known> running;
  };
  /// Where a process prints.
  using OutputsOf = std::function<OutputSet(pid_t)>;

  /// What runs now, of the shell's `children` and of the orphans.
  Look look(std::span<const pid_t> children, const ProcessMarks& marks, const OutputsOf& outputs_of) const;
  /// From now on these are known, and others are forgotten.
  void remember(Look look) { before_ = std::exchange(known_, std::move(look.running)); }
  /// Whether one of those that are known prints to this output. Looks again at those that did, up to the
  /// first one that still does.
  bool print_to(std::size_t output, const OutputsOf& outputs_of);
  bool knows(const ProcessInfo& process) const;
  /// Whether a job of that pid is known, or was before the last look: one that has ended since.
  bool has_known(pid_t pid) const { return known_.contains(pid) || before_.contains(pid); }
  /// That all these may print to.
  OutputSet outputs() const;

 private:
  std::map<pid_t, Known> known_;
  std::map<pid_t, Known> before_;
};

/// "[still running in the background: 17 sleep 1000, ...]"; empty for no jobs.
std::string jobs_line(const std::vector<Jobs::Job>& jobs);

}  // namespace sandbox_worker::tools
