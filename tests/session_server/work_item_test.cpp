#include "tests/session_server/work_item.hpp"

#include <doctest/doctest.h>

using namespace session_server;
using namespace std::chrono_literals;

namespace {

const Time t0 = Time(1'800'000'000s);

Settings settings() {
  Settings given;
  given.work.ttl_seconds = 10;
  return given;
}

Json body(const WorkItem::Outcome& outcome) {
  return Json::parse(outcome.reply.body);
}

}  // namespace

TEST_CASE("lease: each heartbeat echoes the last one's value") {
  WorkItem work(settings());
  CHECK(!work.leased(t0));
  const auto first = work.heartbeat("NO_HEARTBEAT", t0);
  CHECK(first.violation == "");
  CHECK(body(first)["lease_extended"] == true);
  CHECK(body(first)["last_heartbeat"] == "2027-01-15T08:00:00.000000+00:00");
  CHECK(work.leased(t0 + 10s));
  CHECK(!work.leased(t0 + 11s));
  const auto second = work.heartbeat("2027-01-15T08:00:00.000000+00:00", t0 + 5s);
  CHECK(second.reply.status == 200);
  CHECK(work.heartbeats().size() == 2);
}

TEST_CASE("lease: a wrong value is refused with the server's view") {
  WorkItem work(settings());
  work.heartbeat("NO_HEARTBEAT", t0);
  const auto outcome = work.heartbeat("NO_HEARTBEAT", t0 + 1s);
  CHECK(outcome.reply.status == 412);
  CHECK(outcome.violation != "");
  const Json state = body(outcome)["error"]["details"]["current_state"];
  CHECK(state == Json({{"last_heartbeat", "2027-01-15T08:00:00.000000+00:00"},
                       {"state", "active"},
                       {"ttl_seconds", 10}}));
}

TEST_CASE("lease: after a lost answer the old value is no violation, nor when it is asked once more") {
  WorkItem work(settings());
  work.heartbeat("NO_HEARTBEAT", t0);
  work.heartbeat_answer_lost();
  CHECK(work.heartbeat("NO_HEARTBEAT", t0 + 1s).violation == "");
  CHECK(work.heartbeat("NO_HEARTBEAT", t0 + 2s).violation == "");
  CHECK(work.heartbeat("NO_HEARTBEAT", t0 + 3s).violation != "");
}

TEST_CASE("lease: a heartbeat after the ttl is a violation") {
  WorkItem work(settings());
  const std::string last = body(work.heartbeat("NO_HEARTBEAT", t0))["last_heartbeat"];
  CHECK(work.heartbeat(last, t0 + 11s).violation != "");
}

TEST_CASE("lease: a worker that has read no answer can't know when the ttl ends") {
  WorkItem work(settings());
  const std::string last = body(work.heartbeat("NO_HEARTBEAT", t0))["last_heartbeat"];
  work.heartbeat_answer_lost();
  CHECK(work.heartbeat(last, t0 + 11s).violation == "");
}

TEST_CASE("lease: an item that stops compares nothing and extends nothing") {
  WorkItem work(settings());
  work.heartbeat("NO_HEARTBEAT", t0);
  work.ask_to_stop();
  const auto outcome = work.heartbeat("anything", t0 + 1s);
  CHECK(outcome.violation == "");
  CHECK(body(outcome)["state"] == "stopping");
  CHECK(body(outcome)["lease_extended"] == false);
  CHECK(work.told_to_end() == t0 + 1s);
}

TEST_CASE("lease: once another worker has it, this one gets 412 and may not stop it") {
  WorkItem work(settings());
  const std::string last = body(work.heartbeat("NO_HEARTBEAT", t0))["last_heartbeat"];
  work.give_to_another(t0 + 1s);
  CHECK(!work.leased(t0 + 1s));
  const auto outcome = work.heartbeat(last, t0 + 2s);
  CHECK(outcome.reply.status == 412);
  CHECK(outcome.violation == "");
  CHECK(work.stop(t0 + 3s).violation != "");
}

TEST_CASE("work: it is stopped once") {
  WorkItem work(settings());
  CHECK(work.stop(t0).reply.status == 204);
  CHECK(work.stopped_by_worker());
  const auto again = work.stop(t0);
  CHECK(again.reply.status == 409);
  CHECK(again.violation != "");
}

TEST_CASE("work: a stop whose answer was lost may be sent again") {
  WorkItem work(settings());
  work.stop(t0);
  work.stop_answer_lost();
  CHECK(work.stop(t0).violation == "");
}

TEST_CASE("lease: values are given out in turn, the last for good") {
  Settings given = settings();
  given.work.last_heartbeats = {"", "b"};
  WorkItem work(given);
  CHECK(body(work.heartbeat("NO_HEARTBEAT", t0))["last_heartbeat"] == "");
  CHECK(body(work.heartbeat("", t0))["last_heartbeat"] == "b");
  CHECK(body(work.heartbeat("b", t0))["last_heartbeat"] == "b");
}

TEST_CASE("lease: another worker that has taken the lease renews it, each half ttl") {
  WorkItem work(settings());
  work.give_to_another(t0);
  const auto shown = [&](std::chrono::seconds after) {
    const auto outcome = work.heartbeat("NO_HEARTBEAT", t0 + after);
    CHECK(outcome.reply.status == 412);
    return body(outcome)["error"]["details"]["current_state"]["last_heartbeat"].get<std::string>();
  };
  const auto first = shown(0s);
  CHECK(shown(4s) == first);
  const auto second = shown(5s);
  CHECK(second != first);
  CHECK(shown(9s) == second);
  CHECK(shown(31s) != second);
}
