#include "tools/leftovers.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include "tools/bash_process.hpp"
#include "tools/unique_fd.hpp"

namespace sandbox_worker::tools {
namespace {

using Clock = std::chrono::steady_clock;

/// A killed process is gone as soon as it is scheduled once more.
constexpr auto kPause = std::chrono::milliseconds(5);

std::set<pid_t> with_ancestors(const std::map<pid_t, const ProcessInfo*>& by_pid, pid_t pid) {
  std::set<pid_t> line;
  for (auto at = by_pid.find(pid); at != by_pid.end(); at = by_pid.find(at->second->parent)) {
    if (!line.insert(at->first).second) break;
  }
  line.insert(pid);
  return line;
}

std::vector<TaggedProcess> tagged_processes() {
  std::vector<TaggedProcess> processes;
  for (const auto& info : list_processes()) {
    const auto tag = process_tag(info.pid);
    processes.push_back({info, tag});
  }
  return processes;
}

/// By a descriptor of the process, after another look: the id may have been given out again since.
void kill_exactly(const ProcessInfo& process) {
#ifdef SYS_pidfd_open
  const UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
  if (!fd && errno != ENOSYS) return;
#endif
  if (!still_runs(process)) return;
#ifdef SYS_pidfd_send_signal
  if (fd) {
    ::syscall(SYS_pidfd_send_signal, fd.get(), SIGKILL, nullptr, 0);
    return;
  }
#endif
  ::kill(process.pid, SIGKILL);
}

}  // namespace

std::vector<ProcessInfo> leftovers_among(const std::vector<TaggedProcess>& processes,
                                         const WorkerTrace& trace, pid_t self) {
  std::map<pid_t, const ProcessInfo*> by_pid;
  std::multimap<pid_t, pid_t> children;
  for (const auto& process : processes) {
    by_pid.emplace(process.info.pid, &process.info);
    children.emplace(process.info.parent, process.info.pid);
  }
  const auto spared = with_ancestors(by_pid, self);
  std::set<pid_t> sessions;
  for (const auto& shell : trace.shells) {
    const auto found = by_pid.find(shell.pid);
    if (found != by_pid.end() && found->second->begun == shell.start_time) sessions.insert(shell.pid);
  }
  std::vector<pid_t> open;
  for (const auto& [info, tag] : processes) {
    const auto family = family_of_tag(tag);
    const bool marked =
        family != 0 && std::ranges::find(trace.tag_families, family) != trace.tag_families.end();
    if (marked || sessions.contains(info.session)) open.push_back(info.pid);
  }
  std::set<pid_t> chosen;
  while (!open.empty()) {
    const pid_t pid = open.back();
    open.pop_back();
    if (spared.contains(pid) || !chosen.insert(pid).second) continue;
    const auto [begin, end] = children.equal_range(pid);
    for (auto at = begin; at != end; ++at) open.push_back(at->second);
  }
  std::vector<ProcessInfo> found;
  for (const pid_t pid : chosen) {
    if (const auto& info = *by_pid.at(pid); !info.ended()) found.push_back(info);
  }
  return found;
}

EndedLeftovers end_leftovers(const WorkerTrace& trace, std::chrono::milliseconds limit,
                             const std::stop_token& stop) {
  EndedLeftovers result;
  if (trace.tag_families.empty() && trace.shells.empty()) return result;
  std::set<std::pair<pid_t, std::uint64_t>> seen;
  const auto until = Clock::now() + limit;
  for (;;) {
    const auto found = leftovers_among(tagged_processes(), trace, ::getpid());
    for (const auto& process : found) seen.emplace(process.pid, process.begun);
    result.left = found.size();
    result.ended = seen.size() - found.size();
    if (found.empty() || Clock::now() >= until || stop.stop_requested()) return result;
    for (const auto& process : found) kill_exactly(process);
    std::this_thread::sleep_for(kPause);
  }
}

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

}  // namespace sandbox_worker::tools
