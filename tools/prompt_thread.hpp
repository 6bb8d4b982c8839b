#pragma once

namespace sandbox_worker::tools {

/// Asks the kernel to run the calling thread soon after it wakes, also while others keep all processors busy:
/// short turns instead of a larger share. Neither its threads nor its processes inherit that. Linux 6.12 and
/// later heed it; older kernels change nothing. Needs no privilege.
void wake_promptly() noexcept;

/// As long as one lives, the thread that made it runs as soon as it wakes, before every normal thread: round
/// robin at the lowest real-time priority. Needs CAP_SYS_NICE or a RLIMIT_RTPRIO; without these, or where
/// somebody has chosen another policy or niceness, before or meanwhile, nothing changes. For the time in
/// which threads of our own keep the processors busy, and no longer: a command whose every small write wakes
/// the worker at once prints at a fifth of its speed on a single processor. Threads and processes begin as
/// normal ones all the same, but with a timer slack of 0: see usual_timer_slack().
///
/// Such a thread must never spin: on a single processor whoever it waits for wouldn't run for a second.
///
/// Thread: made and destroyed on the same one; several may live there, in any order.
class AheadOfOthers {
 public:
  AheadOfOthers() noexcept;
  ~AheadOfOthers();
  AheadOfOthers(const AheadOfOthers&) = delete;
  AheadOfOthers& operator=(const AheadOfOthers&) = delete;
};

/// The timer slack of this thread in nanoseconds (PR_GET_TIMERSLACK), also while it is ahead of others and
/// the kernel lets it have none. What a process that it makes then should be given: it would inherit that.
unsigned long usual_timer_slack() noexcept;

}  // namespace sandbox_worker::tools
