#include "tests/session_server/wire.hpp"

#include <doctest/doctest.h>

using namespace session_server;

TEST_CASE("wire: a target is taken apart and decoded") {
  const auto target = Target::parse("/v1/sessions/a%2Fb/events?limit=10&page=x%2By&flag&sum=1+2");
  REQUIRE(target);
  CHECK(target->path == std::vector<std::string>{"v1", "sessions", "a/b", "events"});
  CHECK(*target->parameter("limit") == "10");
  CHECK(*target->parameter("page") == "x+y");
  CHECK(*target->parameter("flag") == "");
  CHECK(*target->parameter("sum") == "1 2");
  CHECK(target->parameter("none") == nullptr);
}

TEST_CASE("wire: broken targets are refused") {
  for (const char* target : {"", "v1", "/a%2", "/a%zz", "/a?b=%"}) {
    CAPTURE(target);
    CHECK(!Target::parse(target));
  }
}

TEST_CASE("wire: header names have no case") {
  const Request request{.method = "GET", .target = "/", .headers = {{"Content-Type", "a"}}, .body = {}};
  REQUIRE(request.header("content-type") != nullptr);
  CHECK(request.header("accept") == nullptr);
}

TEST_CASE("wire: errors are in the service's envelope") {
  const Reply reply = error_reply(412, "no", {{"current_state", 1}});
  CHECK(reply.status == 412);
  CHECK(Json::parse(reply.body) == Json::parse(R"({"type":"error","error":{"type":"precondition_failed_error",
    "message":"no","details":{"current_state":1}}})"));
}

TEST_CASE("wire: a secret is base64url without padding") {
  CHECK(base64url("") == "");
  CHECK(base64url("a") == "YQ");
  CHECK(base64url("ab") == "YWI");
  CHECK(base64url("abc") == "YWJj");
  CHECK(base64url("\xfb\xff\xfe") == "-__-");
}
