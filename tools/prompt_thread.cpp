#include "tools/prompt_thread.hpp"

#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <optional>
#include <utility>

namespace sandbox_worker::tools {
namespace {

/// The shortest turn that the kernel grants.
constexpr std::uint64_t kTurnNanoseconds = 100'000;

/// sched_setattr(2)'s structure: glibc 2.36 has none, and the kernel's header can't stand beside glibc's.
struct SchedulingAttributes {
  std::uint32_t size = 48;
  std::uint32_t policy = 0;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime = 0;  // of a normal thread: its turn, in nanoseconds
  std::uint64_t deadline = 0;
  std::uint64_t period = 0;
};
static_assert(sizeof(SchedulingAttributes) == 48);

std::optional<SchedulingAttributes> attributes_of_this_thread() noexcept {
  SchedulingAttributes attributes;
  if (::syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return std::nullopt;
  return attributes;
}

/// Children begin as normal threads. Once set, that flag stays: dropping it takes a privilege.
bool set(SchedulingAttributes attributes) noexcept {
  attributes.flags |= SCHED_FLAG_RESET_ON_FORK;
  return ::syscall(SYS_sched_setattr, 0, &attributes, 0) == 0;
}

constexpr SchedulingAttributes kAhead{.policy = SCHED_RR, .priority = 1};

/// What a thread was before it went ahead of others.
struct Usual {
  SchedulingAttributes attributes;
  unsigned long timer_slack;  // nanoseconds
};

unsigned long timer_slack() noexcept {
  const int nanoseconds = ::prctl(PR_GET_TIMERSLACK);
  return nanoseconds > 0 ? static_cast<unsigned long>(nanoseconds) : 0;
}

thread_local int t_ahead = 0;               // AheadOfOthers that live on this thread
thread_local std::optional<Usual> t_usual;  // while it is ahead

}  // namespace

void wake_promptly() noexcept {
  auto attributes = attributes_of_this_thread();
  if (!attributes || attributes->policy != SCHED_NORMAL || attributes->nice < 0) return;
  attributes->runtime = kTurnNanoseconds;
  set(*attributes);
}

AheadOfOthers::AheadOfOthers() noexcept {
  if (t_ahead++ > 0) return;
  const auto attributes = attributes_of_this_thread();
  if (!attributes || attributes->policy != SCHED_NORMAL || attributes->nice != 0) return;
  const Usual usual{.attributes = *attributes, .timer_slack = timer_slack()};
  if (set(kAhead)) t_usual = usual;
}

AheadOfOthers::~AheadOfOthers() {
  if (--t_ahead > 0) return;
  const auto usual = std::exchange(t_usual, std::nullopt);
  if (!usual) return;
  const auto now = attributes_of_this_thread();
  if (!now || now->policy != kAhead.policy || now->priority != kAhead.priority) return;
  auto attributes = usual->attributes;
  attributes.nice = ::getpriority(PRIO_PROCESS, 0);  // of a thread ahead it has no effect, but may be set
  set(attributes);
}

unsigned long usual_timer_slack() noexcept {
  return t_usual ? t_usual->timer_slack : timer_slack();
}

}  // namespace sandbox_worker::tools
