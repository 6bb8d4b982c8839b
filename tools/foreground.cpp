#include "tools/foreground.hpp"

#include <algorithm>
#include <csignal>
#include <ranges>
#include <utility>

#include "tools/descendants.hpp"
#include "tools/shell_lines.hpp"

namespace sandbox_worker::tools {

namespace {

/// A program may be deaf while it waits for another one that isn't, as in system(3).
bool hears_keyboard_signals(pid_t pid) {
  return std::ranges::any_of(with_descendants(pid), [](pid_t each) {
    const auto info = process_info(each);
    return info && !info->ended() && !ignores_keyboard_signals(each);
  });
}

/// The newest child and those that print into it; the oldest first in both.
std::set<pid_t> newest_pipeline(const std::vector<ProcessInfo>& children) {
  std::set<pid_t> pipeline;
  pid_t reader = 0;
  for (const auto& child : std::views::reverse(children)) {
    if (reader != 0 && !feeds(child.pid, reader)) continue;
    reader = child.pid;
    pipeline.insert(reader);
  }
  return pipeline;
}

}  // namespace

/// The oldest first, ended ones too.
std::vector<ProcessInfo> Foreground::children_of_call() const {
  std::vector<ProcessInfo> children;
  for (const pid_t child : children_of(shell_))
    if (const auto info = process_info(child); info && !earlier_.knows(*info)) children.push_back(*info);
  return children;
}

/// What has the standard input that no job has is in the foreground, and what the shell reads from (a command
/// substitution). Where that was redirected, the newest is
/// while bash waits, as it starts nothing more meanwhile; but not when it is deaf to the keyboard's signals,
/// as bash makes its jobs: it waits for a job then. With job control (set -m) jobs
/// aren't deaf but have process groups of their own, as the foreground has, which is the newest of them.
std::vector<pid_t> Foreground::find() {
  std::vector<pid_t> foreground;
  std::vector<ProcessInfo> grouped;
  const bool waited = waits_for_child(shell_);
  const auto children = children_of_call();
  const auto pipeline = newest_pipeline(children);
  // Otherwise it may be about to start a newer one.
  const bool waits = waited && !children.empty() && !children.back().ended() && waits_for_child(shell_);
  for (const auto& child : children) {
    if (child.ended() || background_.contains(child.pid)) continue;
    // A job in the making isn't deaf yet.
    if (!child.own_program && young_.insert(child.pid).second) continue;
    if (child.session == shell_ && child.group != shell_) {
      grouped.push_back(child);
      continue;
    }
    const bool hears = hears_keyboard_signals(child.pid);
    const bool read_by_shell = prints_into(child.pid, shell_);
    if (!read_by_shell && !has_foreground_input(child.pid)) {
      if (!waits) continue;
      if (!hears || !pipeline.contains(child.pid)) {
        background_.insert(child.pid);
        continue;
      }
    }
    // Bash ends itself when SIGINT ends a command substitution.
    if (number_ != SIGINT || (hears && !read_by_shell)) foreground.push_back(child.pid);
  }
  // The same for a foreground job under job control.
  for (const auto& process : grouped)
    if (number_ != SIGINT && process.group == grouped.back().group) foreground.push_back(process.pid);
  return foreground;
}

void Foreground::send(pid_t pid) {
  if (const auto info = process_info(pid)) (number_ == SIGKILL ? killed_ : asked_).push_back(*info);
  ::kill(pid, number_);
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
    for (const pid_t pid : with_descendants(child)) send(pid);
  }
}

}  // namespace sandbox_worker::tools
