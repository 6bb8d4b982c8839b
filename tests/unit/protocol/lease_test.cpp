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

  // The adopted beat's own answer may be lost as well; one that was surely not handled changes nothing.
  for (const bool lost_again : {true, false}) {
    lease = after_lost_answer();
    CHECK(lease.on_conflict(shown("hb2", WorkState::active), t0 + 32s) == Lease::Verdict::hold);
    lease.begin_beat(t0 + 32s);
    lease.on_failure(lost_again, t0 + 33s);
    lease.begin_beat(t0 + 34s);
    CHECK((lease.on_conflict(shown("hb3", WorkState::active), t0 + 34s) == Lease::Verdict::hold) ==
          lost_again);
  }

  lease = after_lost_answer();
  CHECK(lease.on_conflict(shown("hb2", WorkState::stopped), t0 + 32s) == Lease::Verdict::lost);
  lease = after_lost_answer();
  CHECK(lease.on_conflict(shown("hb2", WorkState::active), t0 + 60s) == Lease::Verdict::lost);
}

TEST_CASE("lease: failures are tried again, sooner than the next interval, until the ttl is nearly over") {
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
  CHECK(lease.on_failure(false, t0 + 59s) == Lease::Verdict::lost);
  CHECK(lease.check(t0 + 58999ms) == Lease::Verdict::hold);
  CHECK(lease.check(t0 + 59s) == Lease::Verdict::lost);
}

TEST_CASE("lease: time that the clock did not count brings its end nearer") {
  Lease lease(t0, std::nullopt);
  lease.begin_beat(t0);
  lease.on_reply(extended(60s), t0);
  lease.on_woken(20s, false);
  CHECK(lease.expires_at() == t0 + 40s);
  CHECK(lease.check(t0 + 38s) == Lease::Verdict::hold);
  lease.on_woken(40s, false);
  CHECK(lease.check(t0) == Lease::Verdict::lost);

  // Also when the answer to a beat from before the absence is read only after it.
  Lease late(t0, std::nullopt);
  late.begin_beat(t0);
  late.on_woken(50s, false);
  late.on_reply(extended(60s), t0);
  CHECK(late.expires_at() == t0 + 10s);
}

TEST_CASE("lease: after an absence a shown state is adopted while the lease can't have expired") {
  const auto after_absence = [](std::chrono::milliseconds uncounted, bool clock_jumped) {
    Lease lease(t0, std::nullopt);
    lease.begin_beat(t0);
    lease.on_reply(extended(60s), t0);
    lease.begin_beat(t0 + 30s);
    lease.on_woken(uncounted, clock_jumped);
    lease.on_failure(true, t0 + 30s);
    lease.begin_beat(t0 + 30s);
    return lease;
  };
  const auto active = shown("hb2", WorkState::active);
  CHECK(after_absence(0s, false).on_conflict(active, t0 + 30s) == Lease::Verdict::hold);
  CHECK(after_absence(20s, false).on_conflict(active, t0 + 30s) == Lease::Verdict::hold);
  CHECK(after_absence(40s, false).on_conflict(active, t0 + 30s) == Lease::Verdict::lost);
  CHECK(after_absence(0s, true).on_conflict(active, t0 + 30s) == Lease::Verdict::lost);

  // A good beat ends the doubt.
  auto lease = after_absence(0s, true);
  lease.on_reply(extended(60s, "hb2"), t0 + 30s);
  lease.begin_beat(t0 + 60s);
  lease.on_failure(true, t0 + 61s);
  lease.begin_beat(t0 + 62s);
  CHECK(lease.on_conflict(shown("hb3", WorkState::active), t0 + 62s) == Lease::Verdict::hold);
}

TEST_CASE("lease: what a conflict shows is adopted in the states that a lease can be held in") {
  struct Row {
    WorkState state;
    Lease::Verdict verdict;
  };
  for (const auto& [state, verdict] :
       {Row{WorkState::starting, Lease::Verdict::hold}, Row{WorkState::active, Lease::Verdict::hold},
        Row{WorkState::queued, Lease::Verdict::lost}, Row{WorkState::stopping, Lease::Verdict::lost},
        Row{WorkState::stopped, Lease::Verdict::lost}, Row{WorkState::unknown, Lease::Verdict::lost}}) {
    Lease lease(t0, std::nullopt);
    lease.begin_beat(t0);
    lease.on_reply(extended(60s), t0);
    lease.begin_beat(t0 + 30s);
    lease.on_failure(true, t0 + 31s);
    lease.begin_beat(t0 + 32s);
    CHECK(lease.on_conflict(shown("hb2", state), t0 + 32s) == verdict);

    Lease fresh(t0, std::nullopt);
    fresh.begin_beat(t0);
    fresh.on_failure(true, t0 + 1s);
    fresh.begin_beat(t0 + 2s);
    CHECK(fresh.on_conflict(shown("hb1", state), t0 + 2s) == verdict);
    CHECK(fresh.watch().has_value() == (verdict == Lease::Verdict::hold));
  }
}

TEST_CASE("lease: before the first good beat, a shown lease is adopted only when nobody renews it") {
  const auto shown_after_lost_answer = [] {
    Lease lease(t0, std::nullopt);
    lease.begin_beat(t0);
    lease.on_failure(true, t0 + 1s);
    lease.begin_beat(t0 + 2s);
    CHECK(lease.on_conflict(shown("hb1", WorkState::active), t0 + 2s) == Lease::Verdict::hold);
    CHECK(lease.watch());
    CHECK(lease.next_at() == t0 + 47s);  // a live holder of 60 s beats every 30 s
    return lease;
  };
  struct Row {
    const char* what;
    std::string last;
    std::chrono::seconds at;
    Lease::Verdict verdict;
    std::string expected;
  };
  const Row rows[] = {
      {"it has not moved: ours, or its holder is dead", "hb1", 47s, Lease::Verdict::hold, "hb1"},
      {"it has moved", "hb2", 47s, Lease::Verdict::lost, "NO_HEARTBEAT"},
      {"looked at too early, as after an absence", "hb1", 20s, Lease::Verdict::hold, "NO_HEARTBEAT"},
      {"moved early", "hb2", 20s, Lease::Verdict::lost, "NO_HEARTBEAT"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    auto lease = shown_after_lost_answer();
    CHECK(lease.begin_beat(t0 + row.at) == "NO_HEARTBEAT");
    CHECK(lease.on_conflict(shown(row.last, WorkState::active), t0 + row.at) == row.verdict);
    CHECK(lease.begin_beat(t0 + row.at) == row.expected);
    CHECK(lease.next_at() == t0 + 47s);
  }

  // A beat that fails meanwhile changes nothing.
  auto lease = shown_after_lost_answer();
  lease.begin_beat(t0 + 47s);
  lease.on_failure(true, t0 + 48s);
  lease.begin_beat(t0 + 49s);
  CHECK(lease.on_conflict(shown("hb2", WorkState::active), t0 + 49s) == Lease::Verdict::lost);

  // Adopting works once; another value than that is another's.
  lease = shown_after_lost_answer();
  lease.on_conflict(shown("hb1", WorkState::active), t0 + 47s);
  CHECK(lease.begin_beat(t0 + 47s) == "hb1");
  CHECK(lease.on_conflict(shown("hb2", WorkState::active), t0 + 48s) == Lease::Verdict::lost);

  // The lease was free in the end.
  lease = shown_after_lost_answer();
  CHECK(lease.on_reply(extended(60s), t0 + 47s) == Lease::Verdict::hold);
  CHECK_FALSE(lease.watch());
}

TEST_CASE("lease: what the worker before left counts as held only with a good beat of it") {
  for (const bool was_good : {true, false}) {
    Lease::Left left{"hb1", std::nullopt, t0 - 10s, true};
    if (was_good) left.ttl = 60s;
    auto lease = Lease::resumed(left, t0);
    CHECK(lease.begin_beat(t0) == "hb1");
    CHECK(lease.on_conflict(shown("hb2", WorkState::active), t0) == Lease::Verdict::hold);
    CHECK(lease.watch().has_value() == !was_good);
    CHECK(lease.begin_beat(t0) == (was_good ? "hb2" : "hb1"));
  }
}

TEST_CASE("lease: a beat that was surely not handled gives no claim on what a conflict shows") {
  Lease lease(t0, std::nullopt);
  lease.begin_beat(t0);
  lease.on_failure(false, t0 + 1s);
  lease.begin_beat(t0 + 2s);
  CHECK(lease.on_conflict(shown("hb1", WorkState::active), t0 + 2s) == Lease::Verdict::lost);
}

TEST_CASE("lease: a fatal answer refuses it; without any answer it is lost after the assumed ttl") {
  Lease lease(t0, std::nullopt);
  lease.begin_beat(t0);
  CHECK(lease.on_refused() == Lease::Verdict::refused);
  CHECK(lease.on_failure(true, t0 + 88s) == Lease::Verdict::hold);
  CHECK(lease.on_failure(true, t0 + 89s) == Lease::Verdict::lost);
}

TEST_CASE("lease: a ttl that is not said, or is beyond reason, changes nothing, or is bounded") {
  Lease lease(t0, std::nullopt);
  lease.begin_beat(t0);
  lease.on_reply(extended(0s), t0);
  CHECK(lease.expires_at() == t0 + 90s);
  lease.begin_beat(t0);
  lease.on_reply(extended(1'000'000s), t0);
  CHECK(lease.expires_at() == t0 + 24h);
  CHECK(lease.interval() == 30s);
}

TEST_CASE("lease: a retry is never later than the next interval, and none is in the past") {
  Lease lease(t0, std::nullopt);
  lease.begin_beat(t0);
  lease.on_reply(extended(2s), t0);
  lease.begin_beat(t0 + 1s);
  lease.on_failure(false, t0 + 1800ms);
  CHECK(lease.next_at() == t0 + 2s);  // not 2.3 s
  lease.begin_beat(t0 + 1s);
  lease.on_failure(false, t0 + 2100ms);
  CHECK(lease.next_at() == t0 + 2100ms);
}

TEST_CASE("lease: it is given up early enough for calls to be cut before it expires") {
  struct Row {
    std::chrono::seconds ttl;
    std::chrono::milliseconds give_up;
  };
  for (const auto& [ttl, give_up] : {Row{60s, 59s}, Row{4s, 3s}, Row{2s, 1500ms}, Row{1s, 750ms}}) {
    Lease lease(t0, std::nullopt);
    lease.begin_beat(t0);
    lease.on_reply(extended(ttl), t0);
    CHECK(lease.give_up_at() == t0 + give_up);
    CHECK(lease.expires_at() == t0 + ttl);
  }
}

TEST_CASE("lease: a beat is cut off early enough for another one") {
  Lease lease(t0, std::nullopt);
  CHECK(lease.beat_limit(t0) == 30s);  // an interval, before the first answer
  lease.begin_beat(t0);
  lease.on_reply(extended(60s), t0);
  CHECK(lease.beat_limit(t0 + 30s) == 14500ms);  // half of what is left
  CHECK(lease.beat_limit(t0 + 45s) == 7s);
  CHECK(lease.beat_limit(t0 + 57500ms) == 1s);  // not shorter, a slow answer needs it
  CHECK(lease.beat_limit(t0 + 58500ms) == 500ms);
  CHECK(lease.beat_limit(t0 + 59s) == 1ms);
  lease.on_reply(extended(1000s), t0);
  CHECK(lease.beat_limit(t0 + 30s) == 30s);  // never more than an interval
}
