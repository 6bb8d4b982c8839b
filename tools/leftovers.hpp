#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "tools/process_table.hpp"

namespace sandbox_worker::tools {

/// A shell that another process of this program has started.
struct ShellTrace {
  pid_t pid = 0;  // of its session too
  std::uint64_t start_time = 0;
};

/// How to know the processes that a worker which is gone has started. Holds during one boot of the machine.
struct WorkerTrace {
  std::vector<std::uint64_t> tag_families;
  std::vector<ShellTrace> shells;
};

/// A process and its tag, as in process_tag.
struct TaggedProcess {
  ProcessInfo info;
  std::uint64_t tag = 0;
};

/// Which of `processes` are leftovers: those with a tag of one of the families, those in the session of a
/// shell that still lives, and everything below them. Never `self` nor what is above it. A process id that
/// was given out again is told apart by the start time; and a session whose shell has ended proves nothing,
/// so that its members need the tag.
std::vector<ProcessInfo> leftovers_among(const std::vector<TaggedProcess>& processes,
                                         const WorkerTrace& trace, pid_t self);

struct EndedLeftovers {
  std::size_t ended = 0;
  std::size_t left = 0;  // did not end in time
};

/// Kills leftovers until there are none, at most for `limit`. Blocks: for the pool.
EndedLeftovers end_leftovers(const WorkerTrace& trace, std::chrono::milliseconds limit,
                             const std::stop_token& stop);

/// Identifies this boot of the machine; empty when it can't be told.
std::string boot_id();

}  // namespace sandbox_worker::tools
