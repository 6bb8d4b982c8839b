#include "worker/lease_record.hpp"

#include <doctest/doctest.h>

#include "tests/support/temp_dir.hpp"
#include "worker/record_format.hpp"

using namespace sandbox_worker::worker;
using namespace std::chrono_literals;
using sandbox_worker::protocol::HeartbeatReply;
using sandbox_worker::protocol::Lease;
using sandbox_worker::protocol::LeaseState;
using sandbox_worker::protocol::WorkState;
using sandbox_worker::testing::TempDir;

namespace {

const Lease::TimePoint t0 = Lease::TimePoint() + 1000h;

std::string file_of(const std::vector<std::pair<std::uint8_t, std::string>>& records) {
  std::string file;
  append_record(file, 0, 1, encode_lease_header("work_1", "boot", "begun"));
  for (const auto& [type, payload] : records) append_record(file, 0, type, payload);
  return file;
}
constexpr std::uint8_t kSent = 2;
constexpr std::uint8_t kGood = 3;
constexpr std::uint8_t kVoid = 4;
constexpr std::uint8_t kWatch = 5;

/// Of a worker that comes `after` the boot clock's 1000 s.
std::optional<Lease> lease_of(const std::string& file, std::chrono::nanoseconds after) {
  const auto trace = decode_lease(file);
  REQUIRE(trace);
  return lease_after(*trace, "work_1", "boot", "", 1000s + after, t0);
}

HeartbeatReply extended(std::string last) {
  HeartbeatReply reply;
  reply.lease_extended = true;
  reply.lease = {std::move(last), WorkState::active, 30s};
  return reply;
}

}  // namespace

TEST_CASE("lease record: the last good beat is echoed, and its time goes on to count") {
  const auto file = file_of({{kSent, encode_beat_sent("NO_HEARTBEAT", 990s)},
                             {kGood, encode_beat_good("hb1", 30s, 990s)},
                             {kSent, encode_beat_sent("hb1", 1000s)},
                             {kGood, encode_beat_good("hb2", 30s, 1000s)}});
  auto lease = lease_of(file, 10s);
  REQUIRE(lease);
  CHECK(lease->expires_at() == t0 + 20s);
  CHECK_FALSE(lease->confirmed());
  CHECK(lease->begin_beat(t0) == "hb2");
  // No answer was lost, so another value can only be another worker's.
  CHECK(lease->on_conflict(LeaseState{"hb3", WorkState::active, 30s}, t0 + 1s) == Lease::Verdict::lost);
}

TEST_CASE("lease record: a beat whose answer the worker didn't live to see may be adopted") {
  const auto file =
      file_of({{kGood, encode_beat_good("hb1", 30s, 1000s)}, {kSent, encode_beat_sent("hb1", 1010s)}});
  auto lease = lease_of(file, 12s);
  REQUIRE(lease);
  CHECK(lease->begin_beat(t0) == "hb1");
  CHECK(lease->on_conflict(LeaseState{"hb2", WorkState::active, 30s}, t0 + 1s) == Lease::Verdict::hold);
  CHECK(lease->begin_beat(t0 + 1s) == "hb2");
}

TEST_CASE("lease record: when the very first answer was not seen, the ttl is assumed") {
  const auto file = file_of({{kSent, encode_beat_sent("NO_HEARTBEAT", 1000s)}});
  auto lease = lease_of(file, 5s);
  REQUIRE(lease);
  CHECK(lease->expires_at() == t0 + 85s);
  CHECK(lease->begin_beat(t0) == "NO_HEARTBEAT");
  CHECK(lease->on_conflict(LeaseState{"hb1", WorkState::active, 30s}, t0 + 1s) == Lease::Verdict::hold);
  CHECK(lease->watch());  // it may as well be another worker's
}

TEST_CASE("lease record: a look at who renews the lease goes on after a kill, and doesn't begin anew") {
  const std::pair<std::uint8_t, std::string> sent{kSent, encode_beat_sent("NO_HEARTBEAT", 1000s)};
  const std::pair<std::uint8_t, std::string> watch{kWatch, encode_watch("hb1", 1050s)};
  const LeaseState unchanged{"hb1", WorkState::active, 60s};
  for (int kills = 1; kills <= 3; ++kills) {
    CAPTURE(kills);
    std::vector<std::pair<std::uint8_t, std::string>> records{
        sent, sent, {kVoid, encode_beat_void(1000s)}, watch};
    for (int kill = 1; kill < kills; ++kill) records.push_back(sent);
    auto lease = lease_of(file_of(records), 40s);
    REQUIRE(lease);
    CHECK(lease->begin_beat(t0) == "NO_HEARTBEAT");
    CHECK(lease->on_conflict(unchanged, t0 + 1s) == Lease::Verdict::hold);
    CHECK(lease->next_at() == t0 + 10s);
    CHECK(lease->on_conflict(unchanged, t0 + 10s) == Lease::Verdict::hold);
    CHECK(lease->begin_beat(t0 + 10s) == "hb1");  // adopted
  }

  auto renewed = lease_of(file_of({sent, watch}), 40s);
  REQUIRE(renewed);
  renewed->begin_beat(t0);
  CHECK(renewed->on_conflict(LeaseState{"hb2", WorkState::active, 60s}, t0 + 1s) == Lease::Verdict::lost);

  // The beat that adopted it may have been handled: what is shown then has moved by our own doing.
  auto adopted = lease_of(file_of({sent, watch, {kSent, encode_beat_sent("hb1", 1050s)}}), 51s);
  REQUIRE(adopted);
  CHECK(adopted->begin_beat(t0) == "hb1");
  CHECK(adopted->on_conflict(LeaseState{"hb2", WorkState::active, 60s}, t0 + 1s) == Lease::Verdict::hold);

  auto far_away = lease_of(file_of({sent, {kWatch, encode_watch("hb1", 900'000s)}}), 40s);
  REQUIRE(far_away);
  far_away->begin_beat(t0);
  CHECK(far_away->on_conflict(unchanged, t0) == Lease::Verdict::hold);
  CHECK(far_away->next_at() == t0 + 45s);
}

TEST_CASE("lease record: a beat that surely wasn't handled begins no lease") {
  struct Row {
    const char* what;
    std::vector<std::uint8_t> types;
    bool any;
    bool answer_lost;
  };
  const Row rows[] = {
      {"refused", {kSent, kVoid}, false, false},
      {"refused again", {kSent, kVoid, kSent, kVoid}, false, false},
      {"refused, then under way", {kSent, kVoid, kSent}, true, true},
      {"lost, then refused", {kSent, kSent, kVoid}, true, true},
      {"refused after a good one", {kGood, kSent, kVoid}, true, false},
      {"lost after a good one, then refused", {kGood, kSent, kSent, kVoid}, true, true},
      {"lost, then a good one", {kSent, kSent, kGood}, true, false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    std::vector<std::pair<std::uint8_t, std::string>> records;
    for (const auto type : row.types) {
      records.emplace_back(type, type == kSent   ? encode_beat_sent("hb1", 1000s)
                                 : type == kGood ? encode_beat_good("hb1", 30s, 1000s)
                                                 : encode_beat_void(1000s));
    }
    auto lease = lease_of(file_of(records), 1s);
    CHECK(lease.has_value() == row.any);
    if (!lease) continue;
    lease->begin_beat(t0);
    const auto verdict = lease->on_conflict(LeaseState{"hb2", WorkState::active, 30s}, t0);
    CHECK((verdict == Lease::Verdict::hold) == row.answer_lost);
  }
}

TEST_CASE("lease record: a claim that is newer than the record wins") {
  const auto trace = decode_lease(file_of({{kGood, encode_beat_good("hb1", 30s, 1000s)}}));
  REQUIRE(trace);
  CHECK(lease_after(*trace, "work_1", "boot", "begun", 1001s, t0));  // the same start again
  CHECK(lease_after(*trace, "work_1", "boot", "", 1001s, t0));       // nothing is claimed
  CHECK_FALSE(lease_after(*trace, "work_1", "boot", "begun again", 1001s, t0));
}

TEST_CASE("lease record: an unanswered beat is not forgotten by the next start") {
  const TempDir dir;
  const Log log(LogFormat::text, LogLevel::error);
  const auto path = dir / "lease";
  LeaseRecord(path, "work_1", std::nullopt, log).beat_sent("NO_HEARTBEAT");
  for (int restart = 0; restart < 2; ++restart) {
    LeaseRecord record(path, "work_1", std::nullopt, log);
    CHECK(record.take_up());
    record.beat_sent("NO_HEARTBEAT");
    record.beat_void();
  }
}

TEST_CASE("lease record: nothing is taken up when it can't be held any more") {
  const auto file = file_of({{kGood, encode_beat_good("hb1", 30s, 1000s)}});
  const auto trace = decode_lease(file);
  REQUIRE(trace);
  CHECK(lease_after(*trace, "work_1", "boot", "", 1029s, t0));
  CHECK_FALSE(lease_after(*trace, "work_1", "boot", "", 1030s, t0));    // the ttl has passed
  CHECK_FALSE(lease_after(*trace, "work_2", "boot", "", 1001s, t0));    // another item
  CHECK_FALSE(lease_after(*trace, "work_1", "reboot", "", 1001s, t0));  // the boot clock began anew
  CHECK_FALSE(lease_after(*trace, "work_1", "boot", "", 999s, t0));     // from the future
  CHECK_FALSE(lease_of(file_of({}), 0s));                               // no beat was sent
}

TEST_CASE("lease record: hostile and torn content is refused or harmless") {
  CHECK_FALSE(decode_lease(""));
  CHECK_FALSE(decode_lease("anything"));
  const auto huge = file_of({{kGood, FieldWriter().text("hb").number(~0ULL).number(~0ULL).take()}});
  CHECK_FALSE(lease_of(huge, 0s));
  const auto file = file_of({{kGood, encode_beat_good("hb1", 30s, 1000s)}});
  for (std::size_t length = 0; length < file.size(); ++length) {
    if (const auto trace = decode_lease(file.substr(0, length))) CHECK_FALSE(trace->any);
  }
}

TEST_CASE("lease record: a worker goes on where one before it was killed, twice") {
  const TempDir dir;
  const Log log(LogFormat::text, LogLevel::error);
  const auto path = dir / "lease";
  {
    LeaseRecord record(path, "work_1", std::nullopt, log);
    CHECK_FALSE(record.take_up());
    Lease lease(Lease::Clock::now(), std::nullopt);
    record.beat_sent(lease.begin_beat(Lease::Clock::now()));
    REQUIRE(lease.on_reply(extended("hb1"), Lease::Clock::now()) == Lease::Verdict::hold);
    record.beat_good(lease);
  }
  std::optional<Lease::TimePoint> expiry;
  for (int restart = 0; restart < 2; ++restart) {
    LeaseRecord record(path, "work_1", std::nullopt, log);
    auto lease = record.take_up();
    REQUIRE(lease);
    CHECK(lease->begin_beat(Lease::Clock::now()) == "hb1");
    // Beats that nobody answered don't make the lease longer.
    if (!expiry) expiry = lease->expires_at();
    CHECK(std::chrono::abs(lease->expires_at() - *expiry) < 100ms);
    record.beat_sent("hb1");
  }
  LeaseRecord record(path, "work_1", std::nullopt, log);
  record.remove();
  CHECK_FALSE(record.take_up());
}

TEST_CASE("lease record: the file stays small") {
  const TempDir dir;
  const Log log(LogFormat::text, LogLevel::error);
  LeaseRecord record(dir / "lease", "work_1", std::nullopt, log);
  Lease lease(t0, std::nullopt);
  for (int i = 0; i < 5000; ++i) {
    record.beat_sent(lease.begin_beat(t0));
    REQUIRE(lease.on_reply(extended(fmt::format("hb{}", i)), t0) == Lease::Verdict::hold);
    record.beat_good(lease);
  }
  CHECK(dir.read("lease").size() < 80'000);
  CHECK(record.take_up()->begin_beat(t0) == "hb4999");
}
