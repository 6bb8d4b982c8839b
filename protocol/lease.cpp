#include "protocol/lease.hpp"

#include <algorithm>
#include <utility>

namespace sandbox_worker::protocol {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

namespace {

constexpr milliseconds kAssumedTtl = 90s;  // wire.md#lease: before the first answer
constexpr milliseconds kMaxTtl = 24h;      // keeps arithmetic on a hostile number sane
constexpr milliseconds kCutting = 1s;      // a command that ignores signals is killed 0.6 s after it is cut
constexpr milliseconds kShortLimit = 1s;   // a slow answer needs so much

milliseconds interval_of(milliseconds ttl) {
  return std::clamp<milliseconds>(ttl / 2, 1s, 30s);
}

/// A live holder renews its lease once in an interval; the half more is for a beat of its own that fails.
milliseconds time_to_watch(milliseconds ttl) {
  return interval_of(ttl) * 3 / 2;
}

}  // namespace

Lease::Lease(TimePoint now, std::optional<std::string> last_heartbeat)
    : expected_(std::move(last_heartbeat).value_or("NO_HEARTBEAT")),
      ttl_(kAssumedTtl),
      good_since_(now),
      sent_at_(now),
      next_at_(now) {}

Lease Lease::resumed(Left left, TimePoint now) {
  Lease lease(now, std::move(left.expected));
  if (left.ttl && *left.ttl > 0ms) lease.ttl_ = std::min(*left.ttl, kMaxTtl);
  lease.good_since_ = left.good_since;
  lease.answer_lost_ = left.answer_lost;
  lease.was_good_ = left.ttl.has_value();
  if (!lease.was_good_ && left.watch) {
    // What another start has looked at is not looked at anew, or kills would put the end off beyond the ttl.
    lease.watch_ = std::move(left.watch);
    lease.watch_->until = std::min(lease.watch_->until, now + time_to_watch(kMaxTtl));
  }
  return lease;
}

milliseconds Lease::interval() const {
  return interval_of(ttl_);
}

Lease::TimePoint Lease::give_up_at() const {
  return expires_at() - std::min(kCutting, ttl_ / 4);
}

milliseconds Lease::beat_limit(TimePoint now) const {
  const auto left = std::chrono::ceil<milliseconds>(give_up_at() - now);
  return std::max(1ms, std::min({interval(), std::max(left / 2, kShortLimit), left}));
}

std::string Lease::begin_beat(TimePoint now) {
  sent_at_ = now;
  return expected_;
}

Lease::Verdict Lease::on_reply(const HeartbeatReply& reply, TimePoint) {
  if (!reply.lease_extended || is_ending(reply.lease.state)) return Verdict::stop;
  expected_ = reply.lease.last_heartbeat;
  if (reply.lease.ttl > 0s) ttl_ = std::min<milliseconds>(reply.lease.ttl, kMaxTtl);
  good_since_ = sent_at_;
  next_at_ = sent_at_ + interval();
  failures_ = 0;
  confirmed_ = was_good_ = true;
  watch_.reset();
  answer_lost_ = adopted_ = unsure_ = false;
  return Verdict::hold;
}

Lease::Verdict Lease::on_conflict(const std::optional<LeaseState>& current, TimePoint now) {
  const bool may_be_ours = current && answer_lost_ && !adopted_ && !unsure_ && now - good_since_ < ttl_ &&
                           (current->state == WorkState::starting || current->state == WorkState::active);
  if (!may_be_ours) return Verdict::lost;
  // Nobody else can hold a lease that we have held within its ttl. One that we have never held is ours only
  // when nobody renews it: then our unanswered beat began it, or its holder is dead.
  if (!was_good_) {
    if (watch_ && watch_->shown != current->last_heartbeat) return Verdict::lost;
    const milliseconds ttl = current->ttl > 0s ? current->ttl : ttl_;
    if (!watch_) watch_ = {current->last_heartbeat, now + time_to_watch(ttl)};
    next_at_ = watch_->until;
    if (now < watch_->until) return Verdict::hold;
    watch_.reset();
  }
  expected_ = current->last_heartbeat;
  adopted_ = true;
  next_at_ = now;
  return Verdict::hold;
}

Lease::Verdict Lease::on_failure(bool answer_lost, TimePoint now) {
  // An adopted beat whose answer is lost in its turn may be adopted in its turn.
  if (answer_lost) {
    answer_lost_ = true;
    adopted_ = false;
  }
  const milliseconds backoff = 500ms * (1 << std::min(failures_++, 10));
  next_at_ = std::max(now, std::min(now + backoff, sent_at_ + interval()));
  return check(now);
}

void Lease::on_woken(milliseconds uncounted, bool clock_jumped) {
  good_since_ -= uncounted;
  sent_at_ -= uncounted;
  unsure_ = unsure_ || clock_jumped;
}

}  // namespace sandbox_worker::protocol
