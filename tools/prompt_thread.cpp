#include "tools/prompt_thread.hpp"

#include <linux/sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <optional>

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

bool set(const SchedulingAttributes& attributes) noexcept {
  return ::syscall(SYS_sched_setattr, 0, &attributes, 0) == 0;
}

/// This thread's, where nobody has chosen them for us; set again they go to nobody else, and need no
/// privilege.
std::optional<SchedulingAttributes> usual_attributes() noexcept {
  SchedulingAttributes attributes;
  if (::syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return std::nullopt;
  if (attributes.policy != SCHED_NORMAL || attributes.nice < 0) return std::nullopt;
  attributes.flags |= SCHED_FLAG_RESET_ON_FORK;
  return attributes;
}

thread_local int t_ahead = 0;                               // AheadOfOthers that live on this thread
thread_local std::optional<SchedulingAttributes> t_before;  // what the last of them puts back

}  // namespace

void wake_promptly() noexcept {
  auto attributes = usual_attributes();
  if (!attributes) return;
  attributes->runtime = kTurnNanoseconds;
  set(*attributes);
}

AheadOfOthers::AheadOfOthers() noexcept {
  if (t_ahead++ > 0) return;
  t_before = usual_attributes();
  if (t_before && t_before->nice == 0 &&
      set({.policy = SCHED_RR, .flags = SCHED_FLAG_RESET_ON_FORK, .priority = 1}))
    return;
  t_before.reset();
}

AheadOfOthers::~AheadOfOthers() {
  if (--t_ahead > 0) return;
  if (t_before) set(*t_before);
}

}  // namespace sandbox_worker::tools
