#include "tools/descendants.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "tools/bash_process.hpp"
#include "tools/process_table.hpp"
#include "tools/shell.hpp"

namespace sandbox_worker::tools {
namespace {

/// Orphans may come to us while we look; each look that finds one is followed by another.
constexpr int kMaxPasses = 100;

/// Orphans among them.
std::vector<pid_t> own_children() {
  static const ChildList children(::getpid());
  return children.of_main_thread();
}

}  // namespace

std::vector<pid_t> with_descendants(pid_t pid) {
  std::vector<pid_t> found{pid};
  for (std::size_t at = 0; at < found.size(); ++at)
    for (const pid_t child : children_of(found[at])) found.push_back(child);
  return found;
}

std::vector<pid_t> orphans_with(const ProcessMarks& marks) {
  const pid_t own_session = ::getsid(0);
  const bool only_lane = std::ranges::includes(marks.sessions, marks.live_shells);
  std::vector<pid_t> found;
  for (const pid_t child : own_children()) {
    if (marks.live_shells.contains(child)) continue;
    const auto info = process_info(child);
    if (!info || info->ended()) continue;
    const auto tag = process_tag(child);
    const bool ours = is_process_tag(tag) ? tag == marks.tag
                                          : marks.sessions.contains(info->session) ||
                                                (only_lane && info->session != own_session);
    if (ours) found.push_back(child);
  }
  return found;
}

std::vector<pid_t> children_with(const ProcessMarks& marks) {
  std::vector<pid_t> found = orphans_with(marks);
  for (const pid_t shell : marks.live_shells) {
    const auto info = marks.sessions.contains(shell) ? process_info(shell) : std::nullopt;
    if (info && !info->ended()) found.push_back(shell);
  }
  return found;
}

std::vector<pid_t> descendants_with(const ProcessMarks& marks) {
  std::vector<pid_t> found = children_with(marks);
  for (std::size_t at = 0; at < found.size(); ++at) {
    for (const pid_t child : children_of(found[at])) {
      const auto info = process_info(child);
      if (info && !info->ended()) found.push_back(child);
    }
  }
  return found;
}

void kill_descendants_with(const ProcessMarks& marks) {
  std::set<pid_t> stopped;
  for (int pass = 0; pass < kMaxPasses; ++pass) {
    bool found_more = false;
    std::vector<pid_t> found = children_with(marks);
    for (std::size_t at = 0; at < found.size(); ++at) {
      if (stopped.insert(found[at]).second) {
        ::kill(found[at], SIGSTOP);
        found_more = true;
      }
      // From here on it can't fork, so this list is the last word.
      for (const pid_t child : children_of(found[at])) {
        if (stopped.contains(child)) {
          found.push_back(child);
          continue;
        }
        const auto info = process_info(child);
        if (info && !info->ended()) found.push_back(child);
      }
    }
    if (!found_more) break;
  }
  for (const pid_t pid : stopped) ::kill(pid, SIGKILL);
}

void reap_orphans() {
  siginfo_t ended{};
  if (::waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid == 0) return;
  const pid_t own_session = ::getsid(0);
  for (const pid_t child : own_children()) {
    if (is_live_shell(child)) continue;
    const auto info = process_info(child);
    if (info && info->state == 'Z' && info->session != own_session) ::waitpid(child, nullptr, WNOHANG);
  }
}

}  // namespace sandbox_worker::tools
