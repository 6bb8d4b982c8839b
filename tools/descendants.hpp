#pragma once

#include <sys/types.h>

#include <cstdint>
#include <set>
#include <vector>

namespace sandbox_worker::tools {

/// How what a lane's shells have started is told from other processes. A value, so that a pool thread can
/// work on it.
struct ProcessMarks {
  std::uint64_t tag = 0;        // see process_tag; 0: none
  std::set<pid_t> sessions;     // of all the lane's shells so far
  std::set<pid_t> live_shells;  // of all lanes
};

/// `pid` and everything below it that still runs.
std::vector<pid_t> with_descendants(pid_t pid);

/// What runs of the lane's orphans, which come to this process as their reaper. Those that shed all marks (a
/// new session and other limits) count once no other lane's shell runs.
std::vector<pid_t> orphans_with(const ProcessMarks& marks);

/// The same and the lane's shell.
std::vector<pid_t> children_with(const ProcessMarks& marks);

/// These and everything below them that still runs.
std::vector<pid_t> descendants_with(const ProcessMarks& marks);

/// Kills all of them. Each is stopped before its children are looked for, so that no fork escapes between the
/// look and the kill, however quickly they multiply. May take milliseconds.
void kill_descendants_with(const ProcessMarks& marks);

/// Takes the ended orphans that came to this process as their reaper. Never a shell, nor a child that the
/// process started in its own session.
void reap_orphans();

}  // namespace sandbox_worker::tools
