#include "tests/session_server/fault.hpp"

#include <doctest/doctest.h>

using namespace session_server;

namespace {

std::string pattern(FaultRules& rules, RequestKind kind, int requests, const Request& request = {}) {
  std::string met;
  for (int i = 0; i < requests; ++i) met += rules.next(kind, request) ? 'x' : '.';
  return met;
}

}  // namespace

TEST_CASE("fault: whom it meets") {
  struct Row {
    Fault fault;
    std::string met;
  };
  Fault once{.on = RequestKind::post};
  Fault twice_after_one = once;
  twice_after_one.skip = 1;
  twice_after_one.count = 2;
  Fault every_third = once;
  every_third.every = 3;
  Fault all_kinds;
  all_kinds.count = 3;
  for (auto& [fault, met] : std::vector<Row>{
           {once, "x....."}, {twice_after_one, ".xx..."}, {every_third, "..x..x"}, {all_kinds, "xxx..."}}) {
    CAPTURE(met);
    FaultRules rules;
    rules.add(fault);
    CHECK(pattern(rules, RequestKind::post, 6) == met);
  }
}

TEST_CASE("fault: other kinds and other texts pass") {
  FaultRules rules;
  Fault fault{.on = RequestKind::post, .contains = "sevt_a"};
  rules.add(fault);
  CHECK(!rules.next(RequestKind::stream, {}));
  CHECK(!rules.next(RequestKind::post, {.method = "POST", .target = "/", .headers = {}, .body = "sevt_b"}));
  CHECK(rules.next(RequestKind::post, {.method = "POST", .target = "/", .headers = {}, .body = "sevt_a"}));
}

TEST_CASE("fault: a share of requests, the same for the same seed") {
  Fault fault{.on = RequestKind::post};
  fault.percent = 5;
  FaultRules a;
  FaultRules b;
  a.add(fault);
  b.add(fault);
  const std::string met = pattern(a, RequestKind::post, 2000);
  CHECK(met == pattern(b, RequestKind::post, 2000));
  const auto count = std::ranges::count(met, 'x');
  CHECK(count > 60);
  CHECK(count < 140);
}

TEST_CASE("fault: what takes effect") {
  CHECK(!Fault{.action = FaultAction::close}.commits());
  CHECK(!Fault{.action = FaultAction::status}.commits());
  CHECK(Fault{.action = FaultAction::half_body}.commits());
  CHECK(Fault{.action = FaultAction::close, .commit = true}.commits());
  CHECK(!Fault{.action = FaultAction::half_body, .commit_after = std::chrono::milliseconds(1)}.commits());
}
