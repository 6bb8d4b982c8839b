#include "tools/prompt_thread.hpp"

#include <doctest/doctest.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <thread>

#include "tests/support/bash_lane.hpp"
#include "tests/support/scheduling.hpp"

using namespace sandbox_worker::tools;
using namespace sandbox_worker::testing;

namespace {

/// Nanoseconds of a turn; 0 on kernels before 6.12, which have one turn for all.
std::uint64_t turn_of_this_thread() {
  std::array<char, 48> attributes{};
  CHECK(::syscall(SYS_sched_getattr, 0, attributes.data(), attributes.size(), 0) == 0);
  std::uint64_t turn = 0;
  std::memcpy(&turn, attributes.data() + 24, sizeof turn);
  return turn;
}

int policy_of_this_thread() {
  return ::sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
}

int policy_of_a_child() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(policy_of_this_thread());
  int status = -1;
  CHECK(::waitpid(child, &status, 0) == child);
  return WEXITSTATUS(status);
}

int policy_of_a_thread() {
  int policy = -1;
  std::thread([&] { policy = policy_of_this_thread(); }).join();
  return policy;
}

}  // namespace

TEST_CASE("a prompt thread has short turns, and hands them on to nobody") {
  on_a_normal_thread([] {
    const auto usual = turn_of_this_thread();
    wake_promptly();
    const auto prompt = turn_of_this_thread();
    std::uint64_t inherited = 0;
    std::thread([&] { inherited = turn_of_this_thread(); }).join();
    CHECK(inherited == usual);
    if (usual != 0) CHECK(prompt < usual);
  });
}

TEST_CASE("a thread is ahead of others until the last reason has gone, and its children are not") {
  on_a_thread_that_may_run_ahead([] {
    wake_promptly();
    const auto turn = turn_of_this_thread();
    std::optional<AheadOfOthers> first(std::in_place);
    CHECK(policy_of_this_thread() == SCHED_RR);
    CHECK(policy_of_a_child() == SCHED_OTHER);
    CHECK(policy_of_a_thread() == SCHED_OTHER);
    std::optional<AheadOfOthers> second(std::in_place);
    first.reset();
    CHECK(policy_of_this_thread() == SCHED_RR);
    second.reset();
    CHECK(policy_of_this_thread() == SCHED_OTHER);
    CHECK(turn_of_this_thread() == turn);
    const AheadOfOthers again;
    CHECK(policy_of_this_thread() == SCHED_RR);
  });
}

TEST_CASE("a shell that is started by a thread ahead of others is like any other") {
  on_a_thread_that_may_run_ahead([] {
    const std::string question = "cat /proc/$$/timerslack_ns; cut -d' ' -f19,41 /proc/$$/stat";
    BashLane before;
    const auto usual = before.text(question);
    const auto slack = ::prctl(PR_GET_TIMERSLACK);
    BashLane meanwhile;
    {
      const AheadOfOthers ahead;
      CHECK(meanwhile.text(question) == usual);
    }
    CHECK(::prctl(PR_GET_TIMERSLACK) == slack);
  });
}

TEST_CASE("a thread that is to be nice isn't ahead of others") {
  on_a_normal_thread([] {
    REQUIRE(::setpriority(PRIO_PROCESS, 0, 5) == 0);
    const AheadOfOthers ahead;
    CHECK(policy_of_this_thread() == SCHED_OTHER);
    CHECK(::getpriority(PRIO_PROCESS, 0) == 5);
  });
}

TEST_CASE("a thread whose policy somebody has chosen keeps it") {
  on_a_normal_thread([] {
    const sched_param none{};
    REQUIRE(::sched_setscheduler(0, SCHED_BATCH, &none) == 0);
    wake_promptly();
    {
      const AheadOfOthers ahead;
      CHECK(policy_of_this_thread() == SCHED_BATCH);
    }
    CHECK(policy_of_this_thread() == SCHED_BATCH);
  });
}

TEST_CASE("what somebody chooses for a thread that is ahead of others stays") {
  on_a_thread_that_may_run_ahead([] {
    {
      const AheadOfOthers ahead;
      REQUIRE(::setpriority(PRIO_PROCESS, 0, 5) == 0);
    }
    CHECK(policy_of_this_thread() == SCHED_OTHER);
    CHECK(::getpriority(PRIO_PROCESS, 0) == 5);
  });
  on_a_thread_that_may_run_ahead([] {
    {
      const AheadOfOthers ahead;
      const sched_param higher{.sched_priority = 2};
      REQUIRE(::sched_setscheduler(0, SCHED_FIFO, &higher) == 0);
    }
    CHECK(policy_of_this_thread() == SCHED_FIFO);
  });
}
