#include "worker/heartbeat.hpp"

#include <doctest/doctest.h>

#include <boost/asio/post.hpp>
#include <string>
#include <vector>

#include "tests/unit/worker/service_fixture.hpp"

using namespace sandbox_worker::tests;
using namespace sandbox_worker::worker;
using namespace std::chrono_literals;
using sandbox_worker::protocol::Lease;

namespace {

struct Beaten {
  int confirmed = 0;
  Lease::Verdict verdict = Lease::Verdict::hold;
  std::string why;
  bool first = false;
  bool gate_open = false;
  std::vector<std::string> requests;
};

/// Beats until the lease is over; the service has these answers. `absence`: after the first success.
Beaten beat(std::deque<std::string> answers, std::optional<std::string> last_heartbeat = {},
            std::optional<Absence> absence = {}) {
  Beaten result;
  ScriptedService server(std::move(answers));
  ServiceUnderTest under_test(server.url());
  auto& io = under_test.client.io;
  Gate first_sent(io.get_executor());
  const Log log(LogFormat::text, LogLevel::error);
  Heartbeat heartbeat(io.get_executor(), under_test.service,
                      Lease(Lease::Clock::now(), std::move(last_heartbeat)),
                      {[&] {
                         ++result.confirmed;
                         if (absence) boost::asio::post(io, [&] { heartbeat.on_woken(*absence); });
                       },
                       [&](Lease::Verdict verdict, const std::string& why, bool first) {
                         result.verdict = verdict;
                         result.why = why;
                         result.first = first;
                       }},
                      first_sent, log);
  run(io, [&]() -> boost::asio::awaitable<bool> {
    co_await heartbeat.run();
    co_return true;
  });
  result.gate_open = first_sent.is_open();
  result.requests = server.requests();
  return result;
}

std::string target(const std::string& expected) {
  return "POST /v1/environments/env_1/work/work_1/heartbeat?expected_last_heartbeat=" + expected;
}

std::string good(int ttl_seconds) {
  return answer(R"({"lease_extended":true,"last_heartbeat":"a:1","state":"active","ttl_seconds":)" +
                std::to_string(ttl_seconds) + "}");
}

}  // namespace

TEST_CASE("heartbeat: told to stop by the very first answer") {
  const auto beaten = beat({answer(R"({"lease_extended":false,"state":"stopping"})")});
  CHECK(beaten.verdict == Lease::Verdict::stop);
  CHECK(beaten.first);
  CHECK(beaten.gate_open);
  CHECK(beaten.requests == std::vector<std::string>{target("NO_HEARTBEAT")});
}

TEST_CASE("heartbeat: refused, with the service's reason") {
  const auto beaten = beat({status_answer("401 Unauthorized", {}, R"({"error":{"message":"no such key"}})")});
  CHECK(beaten.verdict == Lease::Verdict::refused);
  CHECK(beaten.why == "status 401: no such key");
  CHECK(beaten.confirmed == 0);
}

TEST_CASE("heartbeat: each beat echoes the last answer; a failure is tried again soon; 412 is the end") {
  const auto beaten = beat(
      {status_answer("503 Service Unavailable"), good(3), good(3), status_answer("412 Precondition Failed")},
      "begun");
  CHECK(beaten.verdict == Lease::Verdict::lost);
  CHECK(!beaten.first);
  CHECK(beaten.confirmed == 1);
  CHECK(beaten.requests ==
        std::vector<std::string>{target("begun"), target("begun"), target("a%3A1"), target("a%3A1")});
}

TEST_CASE("heartbeat: without any answer the lease runs out with its time to live") {
  const auto beaten = beat({good(1)});
  CHECK(beaten.verdict == Lease::Verdict::lost);
  CHECK(!beaten.first);
  CHECK(beaten.confirmed == 1);
}

TEST_CASE("heartbeat: after an absence a beat goes at once, with what the last answer said") {
  const auto began = std::chrono::steady_clock::now();
  const auto beaten =
      beat({good(60), status_answer("412 Precondition Failed")}, std::nullopt, Absence{.length = 10s});
  CHECK(beaten.verdict == Lease::Verdict::lost);
  CHECK(beaten.requests == std::vector<std::string>{target("NO_HEARTBEAT"), target("a%3A1")});
  CHECK(std::chrono::steady_clock::now() - began < 10s);  // not half a minute, the interval
}

TEST_CASE("heartbeat: an absence that the lease can't have survived ends it without asking") {
  const auto beaten = beat({good(60)}, std::nullopt, Absence{.length = 60s, .uncounted = 60s});
  CHECK(beaten.verdict == Lease::Verdict::lost);
  CHECK(beaten.why == "no heartbeat succeeded in time");
  CHECK(beaten.requests.size() == 1);
}
