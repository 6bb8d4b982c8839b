#include "tools/foreground.hpp"

#include <algorithm>
#include <csignal>
#include <ranges>
#include <utility>

#include "tools/descendants.hpp"
#include "tools/shell_lines.hpp"

namespace sandbox_worker::tools {
namespace {

bool hears_keyboard_signals(pid_t pid) {
  return std::ranges::any_of(with_descendants(pid), [](pid_t each) {
    const auto info = process_info(each);
    return info && !info->ended() && !ignores_keyboard_signals(each);
  });
}

}  // namespace

/// While bash waits for a child, that is the newest one: it starts nothing more meanwhile. But it may be in
/// `wait`, for a job.
ChildPlace place_of(const ChildFacts& child) {
  if (child.read_by_shell) return ChildPlace::foreground;
  if (!child.shell_waits) return ChildPlace::unknown;
  return child.in_newest && child.no_job ? ChildPlace::foreground : ChildPlace::background;
}

/// The newest child and what prints into it.
struct Foreground::Newest {
  std::set<pid_t> pipeline;
  bool is_no_job = false;
  bool awaited = false;  // the shell waits, and started nothing newer meanwhile
};

/// The oldest first, ended ones too.
std::vector<ProcessInfo> Foreground::children_of_call() const {
  std::vector<ProcessInfo> children;
  for (const pid_t child : children_of(shell_))
    if (const auto info = process_info(child); info && !earlier_.knows(*info)) children.push_back(*info);
  return children;
}

bool Foreground::is_newest(pid_t child) const {
  const auto children = children_of(shell_);
  return !children.empty() && children.back() == child;
}

/// A job in the making isn't deaf yet. A stopped shell makes none.
bool Foreground::is_settled(const ProcessInfo& child) const {
  return child.own_program || shell_stopped_ || seen_.contains(child.pid);
}

/// Bash makes jobs deaf to the keyboard's signals. All that is in a job stays so if it doesn't set its
/// signals itself; a foreground program may be deaf while it waits for another one, as in system(3). One that
/// is deaf all the same is known by its input, if that is what commands get from us: a job has that only as
/// the first of a pipeline.
Foreground::Newest Foreground::newest_of(const std::vector<ProcessInfo>& children) const {
  Newest newest;
  if (children.empty()) return newest;
  const auto& last = children.back();
  newest.is_no_job = has_foreground_input(last.pid);
  pid_t reader = 0;
  for (const auto& child : std::views::reverse(children)) {
    if (reader != 0 && !feeds(child.pid, reader)) continue;
    reader = child.pid;
    newest.pipeline.insert(reader);
    newest.is_no_job = newest.is_no_job || hears_keyboard_signals(reader);
  }
  newest.awaited =
      shell_stopped_ || (is_settled(last) && !last.ended() && waits_for_child(shell_) && is_newest(last.pid));
  return newest;
}

bool Foreground::is_foreground(pid_t child, const ChildFacts& facts) {
  // Once and for all: when others have ended, what is left may look otherwise.
  auto& place = decided_.try_emplace(child, ChildPlace::unknown).first->second;
  if (place == ChildPlace::unknown) place = place_of(facts);
  return place == ChildPlace::foreground;
}

/// What a program has started that took the shell's place is its own, unless it was a job before.
ChildFacts Foreground::facts_of(pid_t child, const Newest& newest, bool replaced) const {
  ChildFacts facts{.read_by_shell = prints_into(child, shell_),
                   .shell_waits = newest.awaited,
                   .in_newest = newest.pipeline.contains(child),
                   .no_job = newest.is_no_job};
  if (replaced) {
    facts.shell_waits = facts.in_newest = true;
    facts.no_job = has_foreground_input(child) || hears_keyboard_signals(child);
  }
  return facts;
}

/// With job control (set -m) jobs aren't deaf but have process groups of their own, as the foreground has,
/// which is the newest of them.
std::vector<pid_t> Foreground::find(bool replaced) {
  std::vector<pid_t> foreground;
  std::vector<ProcessInfo> grouped;
  const auto children = children_of_call();
  const auto newest = newest_of(children);
  for (const auto& child : children) {
    if (child.ended() || !is_settled(child)) continue;
    if (child.session == shell_ && child.group != shell_) {
      grouped.push_back(child);
      continue;
    }
    const auto facts = facts_of(child.pid, newest, replaced);
    if (!is_foreground(child.pid, facts)) continue;
    // Bash ends itself when SIGINT ends a command substitution.
    if (number_ == SIGINT && (facts.read_by_shell || !hears_keyboard_signals(child.pid))) continue;
    foreground.push_back(child.pid);
  }
  // The same for a foreground job under job control.
  for (const auto& process : grouped)
    if (number_ != SIGINT && process.group == grouped.back().group) foreground.push_back(process.pid);
  for (const auto& child : children) seen_.insert(child.pid);
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
  const auto children = find(replaced);
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

void Foreground::kill_with_stopped_shell() {
  ::kill(shell_, SIGSTOP);
  shell_stopped_ = true;
  signal(SIGKILL);
}

}  // namespace sandbox_worker::tools
