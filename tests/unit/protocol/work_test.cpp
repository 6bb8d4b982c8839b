#include "protocol/work.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "protocol/session.hpp"

using namespace sandbox_worker::protocol;
using namespace std::chrono_literals;

namespace {

const std::string kDeep = std::string(100'000, '[');

}  // namespace

TEST_CASE("work: a heartbeat's answer") {
  const auto reply = parse_heartbeat_reply(
      R"({"type":"work_heartbeat","last_heartbeat":"a+b","lease_extended":true,"state":"active","ttl_seconds":45})");
  REQUIRE(reply);
  CHECK(reply->lease_extended);
  CHECK(reply->lease.last_heartbeat == "a+b");
  CHECK(reply->lease.state == WorkState::active);
  CHECK(reply->lease.ttl == 45s);
  // A refusal needs no further heartbeat; an empty value is a value.
  CHECK(!parse_heartbeat_reply(R"({"lease_extended":false})")->lease_extended);
  CHECK(
      parse_heartbeat_reply(R"({"lease_extended":true,"last_heartbeat":""})")->lease.last_heartbeat.empty());
}

TEST_CASE("work: an answer without what a heartbeat needs is none") {
  for (const std::string& text :
       {std::string(), std::string("null"), std::string("[]"), std::string("{}"), std::string("{\"lease_ext"),
        std::string(R"({"lease_extended":"true","last_heartbeat":"x"})"),
        std::string(R"({"lease_extended":true})"),
        std::string(R"({"lease_extended":true,"last_heartbeat":5})"),
        std::string(R"({"lease_extended":true,"last_heartbeat":null})"), kDeep}) {
    CHECK(!parse_heartbeat_reply(text));
  }
}

TEST_CASE("work: states and times to live, also odd ones") {
  const auto lease_of = [](const std::string& fields) {
    return parse_heartbeat_reply(R"({"lease_extended":true,"last_heartbeat":"x",)" + fields + "}")->lease;
  };
  struct State {
    const char* name;
    WorkState state;
  };
  for (const auto& row : {State{"queued", WorkState::queued}, State{"starting", WorkState::starting},
                          State{"active", WorkState::active}, State{"stopping", WorkState::stopping},
                          State{"stopped", WorkState::stopped}, State{"paused", WorkState::unknown}}) {
    CAPTURE(row.name);
    const auto lease = lease_of(std::string(R"("state":")") + row.name + '"');
    CHECK(lease.state == row.state);
    CHECK(is_ending(lease.state) == (row.state == WorkState::stopping || row.state == WorkState::stopped));
  }
  CHECK(lease_of(R"("state":7)").state == WorkState::unknown);
  struct Ttl {
    const char* json;
    std::chrono::seconds ttl;
  };
  for (const auto& row : {Ttl{"30", 30s}, Ttl{"30.9", 30s}, Ttl{"0.5", 1s}, Ttl{"0", 0s}, Ttl{"-5", 0s},
                          Ttl{"1e300", 1'000'000s}, Ttl{"\"30\"", 0s}, Ttl{"null", 0s}}) {
    CAPTURE(row.json);
    CHECK(lease_of(std::string(R"("ttl_seconds":)") + row.json).ttl == row.ttl);
  }
}

TEST_CASE("work: an error's words come as one short line, its view of the lease beside them") {
  const auto error = parse_service_error(
      R"({"type":"error","error":{"type":"conflict","message":"not\nyours\u001b[2J",
          "details":{"current_state":{"last_heartbeat":"theirs","state":"active","ttl_seconds":30}}}})");
  CHECK(error.type == "conflict");
  CHECK(error.message == "not yours [2J");
  REQUIRE(error.lease_state);
  CHECK(error.lease_state->last_heartbeat == "theirs");
  CHECK(error.lease_state->state == WorkState::active);
  CHECK(error.lease_state->ttl == 30s);
  const auto longest = parse_service_error(R"({"error":{"message":")" + std::string(100'000, 'x') + R"("}})");
  CHECK(longest.message.size() == 300);
  CHECK(!longest.lease_state);
}

TEST_CASE("work: whatever an error's body is, it says nothing wrong") {
  for (const std::string& text :
       {std::string(), std::string("<html>"), std::string("[]"), std::string("{}"),
        std::string(R"({"error":"text"})"), std::string(R"({"error":{"message":5,"type":[]}})"),
        std::string(R"({"error":{"details":[{"current_state":1}]}})"),
        std::string(R"({"error":{"details":{"current_state":"active"}}})"), kDeep}) {
    const auto error = parse_service_error(text);
    CHECK(error.type.empty());
    CHECK(error.message.empty());
    CHECK(!error.lease_state);
  }
}

TEST_CASE("work: a secret's token and URL, and errors that hold no part of it") {
  const auto secret = parse_work_secret(R"({"sessions_token":"t","api_base_url":"https://h","more":1})");
  REQUIRE(secret);
  CHECK(secret->sessions_token == "t");
  CHECK(secret->api_base_url == "https://h");
  CHECK(parse_work_secret(R"({"sessions_token":"t","api_base_url":5})")->api_base_url.empty());
  for (const char* text :
       {"", "hush", "[\"hush\"]", R"({"session_token":"hush"})", R"({"sessions_token":""})",
        R"({"sessions_token":["hush"]})", R"({"sessions_token":"hush)"}) {
    const auto refused = parse_work_secret(text);
    REQUIRE(!refused);
    CHECK(refused.error().message.find("hush") == std::string::npos);
  }
}

TEST_CASE("session: what is terminated, and what isn't a session") {
  CHECK(parse_session(R"({"id":"s","status":"terminated"})")->terminated);
  CHECK(parse_session(
            R"({"agent":{"tools":[{"status":"idle"}],"status":"x"},"status":"terminated","resources":[]})")
            ->terminated);
  CHECK(!parse_session(R"({"agent":{"status":"terminated"}})"));
  for (const char* status : {"running", "idle", "rescheduling", "new", ""}) {
    CHECK(!parse_session(std::string(R"({"status":")") + status + "\"}")->terminated);
  }
  for (const std::string& text :
       {std::string(), std::string("null"), std::string("[]"), std::string("{}"),
        std::string(R"({"status":null})"), std::string(R"({"status":"run)"), kDeep}) {
    CHECK(!parse_session(text));
  }
}
