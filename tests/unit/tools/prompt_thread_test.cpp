#include "tools/prompt_thread.hpp"

#include <doctest/doctest.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <thread>

#include "tests/support/scheduling.hpp"

using namespace sandbox_worker::tools;
using sandbox_worker::testing::may_run_ahead;

namespace {

/// Nanoseconds of a turn; 0 on kernels before 6.12, which have one turn for all.
std::uint64_t turn_of_this_thread() {
  std::array<char, 48> attributes{};
  REQUIRE(::syscall(SYS_sched_getattr, 0, attributes.data(), attributes.size(), 0) == 0);
  std::uint64_t turn = 0;
  std::memcpy(&turn, attributes.data() + 24, sizeof turn);
  return turn;
}

int policy_of_this_thread() {
  return ::sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
}

int policy_of_a_child() {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) ::_exit(policy_of_this_thread());
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WEXITSTATUS(status);
}

void on_a_thread(const auto& work) {
  std::thread(work).join();
}

}  // namespace

TEST_CASE("a prompt thread has short turns, and hands them on to nobody") {
  std::uint64_t usual = 0;
  std::uint64_t prompt = 0;
  std::uint64_t inherited = 0;
  on_a_thread([&] {
    usual = turn_of_this_thread();
    wake_promptly();
    prompt = turn_of_this_thread();
    on_a_thread([&] { inherited = turn_of_this_thread(); });
  });
  CHECK(inherited == usual);
  if (usual != 0) CHECK(prompt < usual);
}

TEST_CASE("a thread ahead of others is so until the last reason has gone, and hands it on to nobody") {
  const int ahead = may_run_ahead() ? SCHED_RR : SCHED_OTHER;
  on_a_thread([&] {
    wake_promptly();
    const auto turn = turn_of_this_thread();
    std::optional<AheadOfOthers> first(std::in_place);
    CHECK(policy_of_this_thread() == ahead);
    CHECK(policy_of_a_child() == SCHED_OTHER);
    on_a_thread([] { CHECK(policy_of_this_thread() == SCHED_OTHER); });
    std::optional<AheadOfOthers> second(std::in_place);
    first.reset();
    CHECK(policy_of_this_thread() == ahead);
    second.reset();
    CHECK(policy_of_this_thread() == SCHED_OTHER);
    CHECK(turn_of_this_thread() == turn);
    const AheadOfOthers again;
    CHECK(policy_of_this_thread() == ahead);
  });
}

TEST_CASE("a thread that is to be nice isn't ahead of others, and neither are its children") {
  on_a_thread([] {
    REQUIRE(::setpriority(PRIO_PROCESS, 0, 5) == 0);
    const AheadOfOthers ahead;
    CHECK(policy_of_this_thread() == SCHED_OTHER);
    on_a_thread([] { CHECK(::getpriority(PRIO_PROCESS, 0) == 5); });
  });
}

TEST_CASE("a thread whose policy somebody has chosen keeps it") {
  on_a_thread([] {
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
