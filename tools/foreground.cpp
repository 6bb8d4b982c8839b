#include "tools/foreground.hpp"

#include <csignal>
#include <utility>

#include "tools/descendants.hpp"
#include "tools/process_table.hpp"
#include "tools/shell_lines.hpp"

namespace sandbox_worker::tools {

/// Bash makes its background jobs deaf to the keyboard's signals. A foreground program may have made itself
/// deaf just so: one that has the standard input that no job has is taken as the last resort. With job
/// control (set -m) jobs aren't deaf but have process groups of their own, as the foreground has, which is
/// the newest of them.
std::vector<pid_t> Foreground::find() {
  std::vector<pid_t> foreground;
  std::vector<ProcessInfo> grouped;
  pid_t deaf = 0;
  for (const pid_t child : children_of(shell_)) {  // the oldest first
    const auto info = process_info(child);
    if (!info || info->ended() || earlier_.knows(*info)) continue;
    // A job in the making isn't deaf yet.
    if (!info->own_program && young_.insert(child).second) continue;
    if (ignores_keyboard_signals(child)) {
      if (has_foreground_input(child)) deaf = child;
    } else if (info->session == shell_ && info->group != shell_) {
      grouped.push_back(*info);
    } else if (number_ != SIGINT || !prints_into(child, shell_)) {
      // Bash ends itself when SIGINT ends a command substitution.
      foreground.push_back(child);
    }
  }
  // The same for a foreground job under job control.
  for (const auto& process : grouped)
    if (number_ != SIGINT && process.group == grouped.back().group) foreground.push_back(process.pid);
  if (number_ == SIGKILL && foreground.empty() && deaf > 0) foreground.push_back(deaf);
  return foreground;
}

void Foreground::signal(int number) {
  if (number_ == 0) {
    const auto children = children_of(shell_);
    first_.insert(children.begin(), children.end());
  }
  if (std::exchange(number_, number) != number) signalled_.clear();
  if (signalled_.contains(shell_)) return;
  const bool replaced = !has_descriptor(shell_, kStatusFd);
  const auto children = find();
  if (replaced) {
    signalled_.insert(shell_);
    ::kill(shell_, number);
  }
  for (const pid_t child : children) {
    if (!signalled_.insert(child).second) continue;
    went_on_ = went_on_ || (!replaced && !first_.contains(child));
    for (const pid_t pid : with_descendants(child)) ::kill(pid, number);
  }
}

}  // namespace sandbox_worker::tools
