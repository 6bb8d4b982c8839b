#include "tests/session_server/load.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace session_server;

TEST_CASE("load: one seed, one plan; every command leaves a line of its own") {
  const Load load{
      .calls = 500, .mix = {"bash", "write", "read", "edit", "glob", "grep"}, .threads = 3, .seed = 9};
  const LoadPlan a = plan_load(load);
  const LoadPlan b = plan_load(load);
  REQUIRE(a.calls.size() == 500);
  for (std::size_t i = 0; i < a.calls.size(); ++i) CHECK(a.calls[i].call.input == b.calls[i].call.input);
  CHECK(a.ran.size() > 50);
  CHECK(std::set<std::string>(a.ran.begin(), a.ran.end()).size() == a.ran.size());
}
