#include "tests/session_server/service.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

using namespace session_server;
using namespace std::chrono_literals;

namespace {

const Time t0 = Time(1'800'000'000s);
const std::string kSession = "/v1/sessions/sesn_01TestSession";
const std::string kWork = "/v1/environments/env_01TestEnvironment/work/work_01TestWork";

struct Fixture {
  Service service{Settings{}};

  static Request request(const std::string& method, const std::string& target, const std::string& body = "") {
    Request made{.method = method,
                 .target = target,
                 .headers = {{"host", "x"},
                             {"authorization", "Bearer sk-ant-oat01-test-environment-key"},
                             {"anthropic-version", "2023-06-01"},
                             {"anthropic-beta", "managed-agents-2026-04-01"},
                             {"user-agent", "test"},
                             {"accept", "text/event-stream"}},
                 .body = body};
    if (!body.empty()) made.headers.emplace_back("content-type", "application/json");
    return made;
  }
  Reply send(const std::string& method, const std::string& target, const std::string& body = "",
             Time at = t0) {
    return service.handle(request(method, target, body), at);
  }
  Reply beat(Time at = t0) {
    return send("POST", kWork + "/heartbeat?expected_last_heartbeat=NO_HEARTBEAT", "", at);
  }
  /// With the value of an answer.
  Reply beat_again(const Reply& answer, Time at = t0) {
    std::string last = Json::parse(answer.body)["last_heartbeat"].get<std::string>();
    last.replace(last.find('+'), 1, "%2B");
    return send("POST", kWork + "/heartbeat?expected_last_heartbeat=" + last, "", at);
  }
  bool violated(std::string_view part) const {
    return std::ranges::any_of(service.violations(),
                               [&](auto& v) { return v.find(part) != std::string::npos; });
  }
};

std::string result_for(const std::string& id) {
  return fmt::format(R"({{"events":[{{"type":"user.tool_result","tool_use_id":"{}","is_error":false,
    "content":[{{"type":"text","text":"x"}}]}}]}})",
                     id);
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "service: a session as it should be has no violations") {
  CHECK(beat().status == 200);
  CHECK(send("GET", kSession).status == 200);
  const Reply stream = send("GET", kSession + "/events/stream");
  CHECK(stream.opens_stream);
  CHECK(send("GET", kSession + "/events?limit=1000").status == 200);
  service.session.call({.id = "a", .name = "bash"}, t0);
  CHECK(send("POST", kSession + "/events", result_for("a")).status == 200);
  CHECK(send("POST", kWork + "/stop", R"({"force":true})").status == 204);
  service.finish(t0);
  CHECK(service.violations().empty());
}

TEST_CASE("service: what a killed worker knew of its last beat") {
  for (const std::size_t beats : {1U, 2U}) {
    CAPTURE(beats);
    Fixture fixture;
    const Reply first = fixture.beat();
    if (beats == 2) CHECK(fixture.beat_again(first, t0 + 1s).status == 200);
    fixture.service.session.call({.id = "a", .name = "bash"}, t0);
    CHECK(fixture.send("POST", kSession + "/events", result_for("a"), t0 + 1s).status == 200);
    fixture.service.worker_killed();
    if (beats == 1) {
      // Nothing is posted before the first answer.
      CHECK(fixture.beat(t0 + 2s).status == 412);
    } else {
      // A post may have passed the second answer.
      CHECK(fixture.beat_again(first, t0 + 2s).status == 412);
    }
    CHECK(fixture.violated("expected_last_heartbeat") == (beats == 1));
  }
}

TEST_CASE_FIXTURE(Fixture, "service: each header has its rule") {
  const auto status_without = [&](const std::string& name, const std::string& other = "") {
    Request made = request("GET", kSession);
    std::erase_if(made.headers, [&](auto& header) { return header.first == name; });
    if (!other.empty()) made.headers.emplace_back(name, other);
    return service.handle(made, t0).status;
  };
  CHECK(status_without("authorization") == 401);
  CHECK(status_without("authorization", "Bearer wrong") == 401);
  CHECK(status_without("authorization", "sk-ant-oat01-test-environment-key") == 401);
  CHECK(status_without("x-api-key", "k") == 401);
  CHECK(status_without("anthropic-version") == 400);
  CHECK(status_without("anthropic-version", "2020-01-01") == 400);
  CHECK(status_without("anthropic-version", "2026-10-21") == 200);
  CHECK(status_without("anthropic-beta") == 400);
  CHECK(status_without("anthropic-beta", "other-2026, managed-agents-2026-04-01") == 200);
  CHECK(status_without("host") == 400);
  CHECK(!violated("user-agent"));
  CHECK(status_without("user-agent") == 200);
  CHECK(violated("user-agent"));
}

TEST_CASE("service: with a secret its token is the only credential") {
  Settings settings;
  settings.work.auth = Auth::secret_and_key;
  Service service(settings);
  Request made = Fixture::request("GET", kSession);
  CHECK(service.handle(made, t0).status == 401);
  made.headers[1].second = "Bearer " + settings.token;
  CHECK(service.handle(made, t0).status == 200);
}

TEST_CASE_FIXTURE(Fixture, "service: wrong methods, targets and ids") {
  CHECK(send("POST", kSession).status == 404);
  CHECK(send("GET", kWork + "/heartbeat?expected_last_heartbeat=NO_HEARTBEAT").status == 404);
  CHECK(send("GET", "/v2/sessions/sesn_01TestSession").status == 404);
  CHECK(send("GET", "/v1/sessions/sesn_other").status == 404);
  CHECK(send("POST", "/v1/environments/env_01TestEnvironment/work/work_other/stop", R"({"force":true})")
            .status == 404);
  CHECK(service.violations().size() == 5);
}

TEST_CASE_FIXTURE(Fixture, "service: heartbeats and stops have exact forms") {
  CHECK(send("POST", kWork + "/heartbeat").status == 400);
  CHECK(send("POST", kWork + "/heartbeat?expected_last_heartbeat=NO_HEARTBEAT&x=1").status == 400);
  CHECK(send("POST", kWork + "/heartbeat?expected_last_heartbeat=NO_HEARTBEAT", "{}").status == 400);
  CHECK(
      send("POST", kWork + "/heartbeat?expected_last_heartbeat=NO_HEARTBEAT&desired_ttl_seconds=60").status ==
      200);
  CHECK(send("POST", kWork + "/stop", "{}").status == 400);
  CHECK(send("POST", kWork + "/stop").status == 400);
}

TEST_CASE_FIXTURE(Fixture, "service: the first heartbeat comes first, but for what overtakes it on the way") {
  SUBCASE("overtaken") {
    send("GET", kSession);
    beat(t0 + 100ms);
    CHECK(service.violations().empty());
  }
  SUBCASE("late") {
    send("GET", kSession);
    beat(t0 + 1s);
    CHECK(violated("first one"));
  }
  SUBCASE("never") {
    send("GET", kSession);
    service.finish(t0 + 1s);
    CHECK(violated("none was ever sent"));
  }
}

TEST_CASE_FIXTURE(Fixture, "service: no result without a lease") {
  service.session.call({.id = "a", .name = "bash"}, t0);
  SUBCASE("none yet") {
    CHECK(send("POST", kSession + "/events", result_for("a")).status == 403);
    CHECK(violated("without a lease"));
  }
  SUBCASE("run out") {
    beat();
    CHECK(send("POST", kSession + "/events", result_for("a"), t0 + 31s).status == 403);
    CHECK(violated("without a lease"));
  }
  SUBCASE("told to end: what was running may still be answered") {
    beat();
    service.work.ask_to_stop();
    send("POST", kWork + "/heartbeat?expected_last_heartbeat=x", "", t0 + 15s);
    CHECK(send("POST", kSession + "/events", result_for("a"), t0 + 16s).status == 200);
    CHECK(service.violations().empty());
  }
}

TEST_CASE_FIXTURE(
    Fixture, "service: history is not read before a stream was opened, and nothing comes after the stop") {
  beat();
  send("GET", kSession + "/events");
  CHECK(violated("before the stream"));
  send("POST", kWork + "/stop", R"({"force":true})");
  send("GET", kSession);
  CHECK(violated("after the item was stopped"));
}

TEST_CASE_FIXTURE(Fixture, "service: a lost answer excuses the second post") {
  beat();
  service.session.call({.id = "a", .name = "bash"}, t0);
  send("POST", kSession + "/events", result_for("a"));
  service.answer_lost(service.last_delivery());
  CHECK(send("POST", kSession + "/events", result_for("a")).status == 400);
  CHECK(service.violations().empty());
}

TEST_CASE("service: a body that is too large is refused") {
  Settings settings;
  settings.max_body_bytes = 10;
  Service service(settings);
  CHECK(service.handle(Fixture::request("POST", kSession + "/events", result_for("a")), t0).status == 413);
  CHECK(service.violations().size() == 1);
}

TEST_CASE("service: a base URL may have a path") {
  Settings settings;
  settings.path_prefix = "/gateway/v2";
  Service service(settings);
  CHECK(service.handle(Fixture::request("GET", "/gateway/v2" + kSession), t0).status == 200);
  CHECK(service.handle(Fixture::request("GET", kSession), t0).status == 404);
}

TEST_CASE_FIXTURE(Fixture, "service: a result is not sent again while an attempt that hangs is still open") {
  beat();
  service.session.call({.id = "a", .name = "bash"}, t0);
  const Request post = request("POST", kSession + "/events", result_for("a"));
  service.begin_hanging(post);
  service.end_hanging(post);
  service.handle(post, t0);
  CHECK(!violated("still open"));
  service.session.call({.id = "b", .name = "bash"}, t0);
  const Request other = request("POST", kSession + "/events", result_for("b"));
  service.begin_hanging(other);
  service.handle(other, t0);
  CHECK(violated("still open"));
}

TEST_CASE_FIXTURE(Fixture, "service: what arrives late takes effect, and is nobody's fault") {
  beat();
  service.session.call({.id = "a", .name = "bash"}, t0);
  const Request post = request("POST", kSession + "/events", result_for("a"));
  service.handle_late(post, t0);
  CHECK(service.session.find("a")->answers.size() == 1);
  service.handle_late(post, t0 + 5s);
  CHECK(service.session.find("a")->answers.size() == 1);
  CHECK(service.violations().empty());
}
