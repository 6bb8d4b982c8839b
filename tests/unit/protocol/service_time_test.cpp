#include "protocol/service_time.hpp"

#include <doctest/doctest.h>

using namespace sandbox_worker::protocol;

TEST_CASE("service time: read in any form of RFC 3339, written in one") {
  struct Row {
    std::string_view text;
    std::string_view written;
  };
  const Row rows[] = {
      {"2026-10-21T07:28:00Z", "2026-10-21T07:28:00.000000Z"},
      {"2026-10-21T07:28:00.5Z", "2026-10-21T07:28:00.500000Z"},
      {"2026-10-21t07:28:00.123456z", "2026-10-21T07:28:00.123456Z"},
      {"2026-10-21T07:28:00.123456999Z", "2026-10-21T07:28:00.123456Z"},
      {"2026-10-21T07:28:00+00:00", "2026-10-21T07:28:00.000000Z"},
      {"2026-10-21T00:28:00.25+01:30", "2026-10-20T22:58:00.250000Z"},
      {"2026-12-31T23:30:00-01:00", "2027-01-01T00:30:00.000000Z"},
      {"1969-12-31T23:59:59.75Z", "1969-12-31T23:59:59.750000Z"},
  };
  for (const auto& row : rows) {
    const auto time = parse_service_time(row.text);
    REQUIRE_MESSAGE(time, row.text);
    CHECK(format_service_time(*time) == row.written);
  }
}

TEST_CASE("service time: what is no time is nothing") {
  for (const std::string_view text :
       {"", "now", "2026-10-21", "2026-10-21T07:28:00", "2026-10-21 07:28:00Z", "2026-02-29T07:28:00Z",
        "2026-13-01T07:28:00Z", "2026-10-21T24:00:00Z", "2026-10-21T07:28:60Z", "2026-10-21T07:28:00.Z",
        "2026-10-21T07:28:00+0100", "2026-10-21T07:28:00Zx", "-026-10-21T07:28:00Z", "1761031680"}) {
    CHECK_MESSAGE(!parse_service_time(text), text);
  }
}
