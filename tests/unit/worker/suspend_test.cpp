#include "worker/suspend.hpp"

#include <doctest/doctest.h>

using namespace sandbox_worker::worker;
using namespace std::chrono_literals;
using std::chrono::milliseconds;

namespace {

constexpr ClockReading kStart{.monotonic = 1000s, .boot = 5000s, .wall = 1'700'000'000s};

std::optional<Absence> after(milliseconds monotonic, milliseconds boot, milliseconds wall) {
  SuspendDetector detector(kStart, 1s);
  return detector.look(
      {.monotonic = kStart.monotonic + monotonic, .boot = kStart.boot + boot, .wall = kStart.wall + wall});
}

}  // namespace

TEST_CASE("suspend: looks that come in time, or late as on a busy machine, tell nothing") {
  CHECK_FALSE(after(1s, 1s, 1s));
  CHECK_FALSE(after(4s, 4s, 4s));
  CHECK_FALSE(after(1001ms, 1000ms, 1000ms));
}

TEST_CASE("suspend: a process that was stopped, all clocks having gone on") {
  const auto absence = after(31s, 31s, 31s);
  REQUIRE(absence);
  CHECK(absence->length == 30s);
  CHECK(absence->uncounted == 0s);
  CHECK_FALSE(absence->clock_jumped);
}

TEST_CASE("suspend: a machine that was suspended, of which the monotonic clock knows nothing") {
  const auto absence = after(1s, 601s, 601s);
  REQUIRE(absence);
  CHECK(absence->length == 600s);
  CHECK(absence->uncounted == 600s);
  CHECK_FALSE(absence->clock_jumped);
  CHECK(after(1s, 2s, 2s));
  CHECK_FALSE(after(1s, 1900ms, 1900ms));
}

TEST_CASE("suspend: a machine that was resumed from a snapshot, of which only the wall clock knows") {
  const auto absence = after(1s, 1s, 3601s);
  REQUIRE(absence);
  CHECK(absence->length == 3600s);
  CHECK(absence->uncounted == 0s);
  CHECK(absence->clock_jumped);
}

TEST_CASE("suspend: a wall clock that is put back, or nudged, is no absence") {
  CHECK_FALSE(after(1s, 1s, -3600s));
  CHECK_FALSE(after(1s, 1s, 2s));
}

TEST_CASE("suspend: each look is compared with the one before it") {
  SuspendDetector detector(kStart, 1s);
  auto now = kStart;
  now.monotonic += 1s;
  now.boot += 61s;
  now.wall += 61s;
  CHECK(detector.look(now));
  now.monotonic += 1s;
  now.boot += 1s;
  now.wall += 1s;
  CHECK_FALSE(detector.look(now));
}

TEST_CASE("suspend: the clocks of this machine, read one after another, tell nothing") {
  SuspendDetector detector(ClockReading::now(), 1s);
  CHECK_FALSE(detector.look(ClockReading::now()));
}
