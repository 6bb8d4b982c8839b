#include "tools/descendants.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <map>

#include "tools/process_table.hpp"
#include "tools/shell.hpp"

namespace sandbox_worker::tools {
namespace {

using Children = std::multimap<pid_t, ProcessInfo>;

Children children_by_parent() {
  Children children;
  for (const auto& process : list_processes()) children.emplace(process.parent, process);
  return children;
}

template <class Visit>
void walk(const Children& children, pid_t parent, bool belongs, const Visit& visit) {
  const auto [begin, end] = children.equal_range(parent);
  for (auto at = begin; at != end; ++at) walk(children, at->second.pid, visit(at->second, belongs), visit);
}

}  // namespace

std::vector<pid_t> with_descendants(pid_t pid) {
  std::vector<pid_t> found{pid};
  for (std::size_t at = 0; at < found.size(); ++at)
    for (const pid_t child : children_of(found[at])) found.push_back(child);
  return found;
}

std::vector<pid_t> descendants_of_session(std::uint64_t tag, const std::set<pid_t>& sessions) {
  std::vector<pid_t> found;
  const pid_t self = ::getpid();
  const pid_t own_session = ::getsid(0);
  std::size_t others = live_shells();
  for (const pid_t session : sessions)
    if (is_live_shell(session)) --others;
  walk(children_by_parent(), self, false, [&](const ProcessInfo& process, bool parent_belongs) {
    const bool stray = others == 0 && process.parent == self && process.session != own_session;
    const bool belongs = parent_belongs || stray || sessions.contains(process.session) ||
                         (tag != 0 && process_tag(process.pid) == tag);
    if (belongs && !process.ended()) found.push_back(process.pid);
    return belongs;
  });
  return found;
}

void reap_orphans() {
  const pid_t own_session = ::getsid(0);
  for (const pid_t child : children_of(::getpid())) {
    if (is_live_shell(child)) continue;
    const auto info = process_info(child);
    if (info && info->state == 'Z' && info->session != own_session) ::waitpid(child, nullptr, WNOHANG);
  }
}

}  // namespace sandbox_worker::tools
