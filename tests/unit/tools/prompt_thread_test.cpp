#include "tools/prompt_thread.hpp"

#include <doctest/doctest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <thread>

using namespace sandbox_worker::tools;

namespace {

/// Nanoseconds of a turn; 0 on kernels before 6.12, which have one turn for all.
std::uint64_t turn_of_this_thread() {
  std::array<char, 48> attributes{};
  REQUIRE(::syscall(SYS_sched_getattr, 0, attributes.data(), attributes.size(), 0) == 0);
  std::uint64_t turn = 0;
  std::memcpy(&turn, attributes.data() + 24, sizeof turn);
  return turn;
}

}  // namespace

TEST_CASE("a prompt thread has short turns, and hands them on to nobody") {
  std::uint64_t usual = 0;
  std::uint64_t prompt = 0;
  std::uint64_t inherited = 0;
  std::thread([&] {
    usual = turn_of_this_thread();
    wake_promptly();
    prompt = turn_of_this_thread();
    std::thread([&] { inherited = turn_of_this_thread(); }).join();
  }).join();
  CHECK(inherited == usual);
  if (usual != 0) CHECK(prompt < usual);
}
