#pragma once

#include <sys/types.h>

#include <cstdint>
#include <set>
#include <vector>

namespace sandbox_worker::tools {

/// `pid` and everything below it that still runs.
std::vector<pid_t> with_descendants(pid_t pid);

/// What still runs of the processes that shells with `tag` or in `sessions` have started, among all that this
/// process has below it. Those that shed both (a new session and other limits) count once no other shell
/// runs.
std::vector<pid_t> descendants_of_session(std::uint64_t tag, const std::set<pid_t>& sessions);

/// Takes the ended orphans that came to this process as their reaper. Never a shell, nor a child that the
/// process started in its own session.
void reap_orphans();

}  // namespace sandbox_worker::tools
