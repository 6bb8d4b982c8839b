#include "worker/lease_record.hpp"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "tools/leftovers.hpp"
#include "worker/record_format.hpp"

namespace sandbox_worker::worker {

using protocol::Lease;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

namespace {

constexpr std::string_view kMagic = "sandbox-worker lease 2";
constexpr std::uint64_t kRewriteAt = 64 * 1024;
constexpr std::size_t kMaxBytes = 16 * kRewriteAt;

enum Type : std::uint8_t { kHeader = 1, kSent, kGood, kVoid, kWatch };

nanoseconds boot_now() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return std::chrono::seconds(time.tv_sec) + nanoseconds(time.tv_nsec);
}

/// Hostile numbers must not overflow what is calculated with them.
template <class Duration>
Duration bounded(std::uint64_t count, Duration max) {
  return Duration(static_cast<typename Duration::rep>(
      std::min<std::uint64_t>(count, static_cast<std::uint64_t>(max.count()))));
}

constexpr nanoseconds kMaxTime = std::chrono::hours(24 * 365 * 100);
constexpr milliseconds kMaxTtl = std::chrono::hours(24);

}  // namespace

std::string encode_lease_header(std::string_view work, std::string_view boot_id, std::string_view claimed) {
  return FieldWriter().text(kMagic).text(work).text(boot_id).text(claimed).take();
}

std::string encode_beat_sent(std::string_view expected, nanoseconds at) {
  return FieldWriter().text(expected).number(static_cast<std::uint64_t>(at.count())).take();
}

std::string encode_beat_good(std::string_view last_heartbeat, milliseconds ttl, nanoseconds sent_at) {
  return FieldWriter()
      .text(last_heartbeat)
      .number(static_cast<std::uint64_t>(ttl.count()))
      .number(static_cast<std::uint64_t>(sent_at.count()))
      .take();
}

std::string encode_beat_void(nanoseconds at) {
  return FieldWriter().number(static_cast<std::uint64_t>(at.count())).take();
}

std::string encode_watch(std::string_view shown, nanoseconds until) {
  return FieldWriter().text(shown).number(static_cast<std::uint64_t>(until.count())).take();
}

namespace {

/// `under_way`: of the beat before this record, nothing but its sending is known.
void add_record(LeaseTrace& trace, bool& under_way, const Record& record) {
  if (record.type == kVoid) {
    under_way = false;
    return;
  }
  FieldReader fields(record.payload);
  std::string value(fields.text());
  const auto ttl = record.type == kGood ? fields.number() : 0;
  const auto at = bounded(fields.number(), kMaxTime);
  if (!fields.complete()) return;
  if (record.type == kWatch) {
    trace.watch = {std::move(value), at};
    return;
  }
  if (record.type != kSent && record.type != kGood) return;
  const bool good = record.type == kGood;
  if (good || !trace.any) trace.good_since = at;
  if (good) trace.ttl = bounded(ttl, kMaxTtl);
  trace.answer_lost = !good && (trace.answer_lost || under_way);
  under_way = !good;
  if (good || value != trace.expected) trace.watch.reset();  // it was adopted
  trace.expected = std::move(value);
  trace.any = true;
}

}  // namespace

std::optional<LeaseTrace> decode_lease(std::string_view file) {
  RecordReader records(file);
  const auto first = records.next();
  if (!first || first->type != kHeader) return std::nullopt;
  FieldReader header(first->payload);
  LeaseTrace trace;
  if (header.text() != kMagic) return std::nullopt;
  trace.work = header.text();
  trace.boot_id = header.text();
  trace.claimed = header.text();
  if (!header.complete()) return std::nullopt;
  bool under_way = false;
  while (const auto record = records.next()) add_record(trace, under_way, *record);
  trace.answer_lost = trace.answer_lost || under_way;
  return trace;
}

std::optional<Lease> lease_after(const LeaseTrace& trace, std::string_view work, std::string_view boot_id,
                                 std::string_view claimed, nanoseconds boot_now, Lease::TimePoint now) {
  const bool ours = trace.work == work && trace.boot_id == boot_id && !boot_id.empty() &&
                    (claimed.empty() || claimed == trace.claimed);
  const bool usable = trace.any && (trace.ttl || trace.answer_lost);
  if (!ours || !usable || trace.good_since > boot_now) return std::nullopt;
  const auto age = std::chrono::duration_cast<Lease::Clock::duration>(boot_now - trace.good_since);
  Lease::Left left{trace.expected, trace.ttl, now - age, trace.answer_lost};
  if (trace.watch) {
    const auto rest = std::chrono::duration_cast<Lease::Clock::duration>(trace.watch->until - boot_now);
    left.watch = {trace.watch->shown, now + rest};
  }
  Lease lease = Lease::resumed(std::move(left), now);
  if (now >= lease.expires_at()) return std::nullopt;
  return lease;
}

LeaseRecord::LeaseRecord(std::string path, std::string work, std::optional<std::string> claimed,
                         const Log& log)
    : path_(std::move(path)), work_(std::move(work)), claimed_(std::move(claimed).value_or("")), log_(log) {}

std::optional<Lease> LeaseRecord::take_up() {
  const auto bytes = read_private_file(path_, kMaxBytes);
  if (!bytes) {
    log_.warn("the record of a lease can't be read and is ignored", {{"why", bytes.error()}});
    return std::nullopt;
  }
  if (bytes->empty()) return std::nullopt;
  const auto trace = decode_lease(*bytes);
  if (!trace) {
    log_.warn("the record of a lease is ignored", {{"why", "not of this version"}});
    return std::nullopt;
  }
  auto lease = lease_after(*trace, work_, tools::boot_id(), claimed_, boot_now(), Lease::Clock::now());
  if (!lease) {
    log_.info("there is no lease of the worker before to go on with", {{"work", work_}});
    return std::nullopt;
  }
  before_ = trace;
  log_.info(trace->ttl ? "going on with the lease of the worker before"
                       : "the worker before may have begun a lease, its heartbeats have no answer",
            {{"work", work_}});
  return lease;
}

void LeaseRecord::beat_sent(std::string_view expected) {
  sent_at_ = boot_now();
  add(kSent, encode_beat_sent(expected, sent_at_));
}

void LeaseRecord::beat_void() {
  add(kVoid, encode_beat_void(sent_at_));
}

void LeaseRecord::beat_good(const Lease& lease) {
  before_.reset();
  add(kGood, encode_beat_good(lease.last_heartbeat(), lease.ttl(), sent_at_));
}

void LeaseRecord::watch_begun(const Lease::Watch& watch) {
  add(kWatch, encode_watch(watch.shown, boot_now() + (watch.until - Lease::Clock::now())));
}

/// With what the worker before us has left: it counts until we have a good beat of our own.
std::string LeaseRecord::first_records() const {
  std::string bytes;
  append_record(bytes, 0, kHeader, encode_lease_header(work_, tools::boot_id(), claimed_));
  if (before_ && before_->ttl) {
    append_record(bytes, 0, kGood, encode_beat_good(before_->expected, *before_->ttl, before_->good_since));
  }
  if (before_ && before_->answer_lost) {
    append_record(bytes, 0, kSent, encode_beat_sent(before_->expected, before_->good_since));
  }
  if (before_ && before_->watch) {
    append_record(bytes, 0, kWatch, encode_watch(before_->watch->shown, before_->watch->until));
  }
  return bytes;
}

void LeaseRecord::add(std::uint8_t type, std::string_view payload) {
  std::expected<void, std::string> done;
  if (!file_ || (type == kGood && file_->size() > kRewriteAt)) {
    std::string bytes = first_records();
    append_record(bytes, 0, type, payload);
    auto file = RecordFile::replace(path_, bytes);
    if (file) {
      file_.emplace(std::move(*file));
    } else {
      done = std::unexpected(file.error());
    }
  } else {
    done = file_->append(type, payload);
  }
  if (!done && !std::exchange(complained_, true)) {
    log_.warn("the lease can't be recorded: a worker that is started again would not keep it",
              {{"why", done.error()}});
  }
}

void LeaseRecord::remove() {
  file_.reset();
  ::unlink(path_.c_str());
}

}  // namespace sandbox_worker::worker
