#include "worker/duration.hpp"

#include <doctest/doctest.h>

using sandbox_worker::worker::parse_duration;
using namespace std::chrono_literals;
using std::chrono::milliseconds;

TEST_CASE("duration: a number and its unit") {
  struct Row {
    const char* text;
    milliseconds value;
  };
  const Row rows[] = {
      {"500ms", 500ms},
      {"60s", 60s},
      {"5m", 5min},
      {"2h", 2h},
      {"0", 0ms},
      {"0s", 0ms},
      {"0ms", 0ms},
      {"1.5s", 1500ms},
      {"0.25m", 15s},
      {"8760h", 8760h},
      {"00060s", 60s},
      {"1.s", 1s},
      {"0.0s", 0ms},
      // Above nothing is never nothing: 0 would switch the limit off.
      {"0.4ms", 1ms},
      {"0.0001s", 1ms},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const auto value = parse_duration(row.text);
    REQUIRE(value);
    CHECK(*value == row.value);
  }
}

TEST_CASE("duration: anything else is nothing") {
  for (const char* text : {"",    " ",   "s",    "60", "1",    "-1s",   "+1s",
                           " 1s", "1s ", "1 s",  "1S", "1sec", "1e3s",  "0x1s",
                           "inf", "nan", "infs", "1d", "60s5", "9000h", "99999999999999999999s",
                           "1,5s"}) {
    CAPTURE(text);
    CHECK(!parse_duration(text));
  }
}

TEST_CASE("duration: bare numbers have the unit that is said") {
  CHECK(parse_duration("90", 1s) == 90s);
  CHECK(parse_duration("1500", 1ms) == 1500ms);
  CHECK(parse_duration("1.5", 1s) == 1500ms);
  CHECK(parse_duration("5m", 1s) == 5min);
  CHECK(!parse_duration("x", 1s));
}
