#include "protocol/lease.hpp"

#include <doctest/doctest.h>

using namespace sandbox_worker::protocol;
using namespace std::chrono_literals;

namespace {

const Lease::TimePoint t0 = Lease::TimePoint() + 1000h;

HeartbeatReply extended(std::chrono::seconds ttl, std::string last = "hb1") {
  HeartbeatReply reply;
  reply.lease_extended = true;
  reply.lease = {std::move(last), WorkState::active, ttl};
  return reply;
}

LeaseState shown(std::string last, WorkState state) {
  return {std::move(last), state, 60s};
}

}  // namespace

TEST_CASE("lease: the first beat is due at once and expects none before it") {
  Lease lease(t0, std::nullopt);
  CHECK(lease.next_at() == t0);
  CHECK(lease.begin_beat(t0) == "NO_HEARTBEAT");
  CHECK_FALSE(lease.confirmed());
  CHECK(lease.interval() == 30s);
  CHECK(lease.expires_at() == t0 + 90s);
}

TEST_CASE("lease: a lease that was begun before us is echoed, an empty one too") {
  CHECK(Lease(t0, "2026-01-01T00:00:00Z").begin_beat(t0) == "2026-01-01T00:00:00Z");
  CHECK(Lease(t0, "").begin_beat(t0).empty());
}

TEST_CASE("lease: the interval is half the ttl, between 1 s and 30 s, from when the beat was sent") {
  struct Row {
    std::chrono::seconds ttl;
    std::chrono::milliseconds interval;
  };
  for (const auto& [ttl, interval] :
       {Row{60s, 30s}, Row{90s, 30s}, Row{20s, 10s}, Row{1s, 1s}, Row{3s, 1500ms}}) {
    Lease lease(t0, std::nullopt);
    lease.begin_beat(t0);
    CHECK(lease.on_reply(extended(ttl), t0 + 300ms) == Lease::Verdict::hold);
    CHECK(lease.interval() == interval);
    CHECK(lease.next_at() == t0 + interval);
    CHECK(lease.expires_at() == t0 + ttl);
    CHECK(lease.confirmed());
    CHECK(lease.begin_beat(t0 + interval) == "hb1");
  }
}

TEST_CASE("lease: the server's wish to stop") {
  auto reply = extended(60s);
  reply.lease_extended = false;
  CHECK(Lease(t0, std::nullopt).on_reply(reply, t0) == Lease::Verdict::stop);
  for (const auto state : {WorkState::stopping, WorkState::stopped}) {
    reply = extended(60s);
    reply.lease.state = state;
    CHECK(Lease(t0, std::nullopt).on_reply(reply, t0) == Lease::Verdict::stop);
  }
}

TEST_CASE("lease: a conflict is another's lease") {
  Lease lease(t0, std::nullopt);
  lease.begin_beat(t0);
  lease.on_reply(extended(60s), t0);
  CHECK(lease.on_conflict(shown("hb2", WorkState::active), t0 + 30s) == Lease::Verdict::lost);
  CHECK(lease.on_conflict(std::nullopt, t0 + 30s) == Lease::Verdict::lost);
}

TEST_CASE("lease: after a lost answer, the state that a conflict shows is adopted, once") {
  const auto after_lost_answer = [] {
    Lease lease(t0, std::nullopt);
    lease.begin_beat(t0);
    lease.on_reply(extended(60s), t0);
    lease.begin_beat(t0 + 30s);
    CHECK(lease.on_failure(true, t0 + 31s) == Lease::Verdict::hold);
    lease.begin_beat(t0 + 32s);
    return lease;
  };
  auto lease = after_lost_answer();
  CHECK(lease.on_conflict(shown("hb2", WorkState::active), t0 + 32s) == Lease::Verdict::hold);
  CHECK(lease.next_at() == t0 + 32s);
  CHECK(lease.begin_beat(t0 + 32s) == "hb2");
  CHECK(lease.on_conflict(shown("hb3", WorkState::active), t0 + 33s) == Lease::Verdict::lost);

  lease = after_lost_answer();
  CHECK(lease.on_conflict(shown("hb2", WorkState::stopped), t0 + 32s) == Lease::Verdict::lost);
  lease = after_lost_answer();
  CHECK(lease.on_conflict(shown("hb2", WorkState::active), t0 + 60s) == Lease::Verdict::lost);
}

TEST_CASE("lease: failures are tried again, sooner than the next interval, until the ttl is over") {
  Lease lease(t0, std::nullopt);
  lease.begin_beat(t0);
  lease.on_reply(extended(60s), t0);
  auto now = t0 + 30s;
  std::chrono::milliseconds expected[] = {500ms, 1s, 2s, 4s, 8s};
  for (const auto delay : expected) {
    lease.begin_beat(now);
    CHECK(lease.on_failure(false, now) == Lease::Verdict::hold);
    CHECK(lease.next_at() == now + delay);
    now = lease.next_at();
  }
  lease.begin_beat(now);
  CHECK(lease.on_failure(false, t0 + 60s) == Lease::Verdict::lost);
  CHECK(lease.check(t0 + 59s) == Lease::Verdict::hold);
  CHECK(lease.check(t0 + 60s) == Lease::Verdict::lost);
}
