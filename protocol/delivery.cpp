#include "protocol/delivery.hpp"

#include <algorithm>

#include "protocol/retry.hpp"

namespace sandbox_worker::protocol {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

namespace {

// wire.md#results
constexpr milliseconds kFirstDelay = 1s;
constexpr milliseconds kMaxDelay = 30s;

/// A request whose answer was lost may still be carried out, by a gateway that has it. Its connection is
/// closed; what comes all the same comes within a second, so the history is asked a little later.
constexpr milliseconds kLateArrival = 1500ms;

/// The statuses with which the service refuses a result for what is in it.
bool refuses_content(unsigned status) {
  return status == 400 || status == 413 || status == 422;
}

/// A gateway that gives up says nothing about the service behind it; a conflict may be with our own result.
bool may_have_acted(const PostFailure& failure) {
  return failure.may_have_acted || failure.status == 408 || failure.status == 409 || failure.status >= 500;
}

}  // namespace

Delivery Delivery::maybe_sent(TimePoint then) {
  Delivery delivery(then + kLateArrival);
  delivery.unsure_ = true;
  return delivery;
}

Delivery::Next Delivery::on_failure(const PostFailure& failure, bool shared, TimePoint now, double random) {
  if (may_have_acted(failure)) {
    unsure_ = true;
    settled_ = now + kLateArrival;
  }
  if (failure.fatal && shared) {  // which of them it is about isn't said
    alone_ = true;
    due_ = std::max(now, settled_);
    return Next::again;
  }
  if (failure.fatal) {
    if (!refuses_content(failure.status) || replaced_) return Next::give_up;
    refused_with_ = failure.status;
    alone_ = true;
    due_ = now;
    return Next::again;
  }
  wait(failure.retry_after, now, random);
  return Next::again;
}

void Delivery::on_unchecked(std::optional<milliseconds> retry_after, TimePoint now, double random) {
  wait(retry_after, now, random);
}

Delivery::Next Delivery::on_unanswered() {
  if (refused_with_ == 0) return Next::again;
  refused_with_ = 0;
  replaced_ = true;
  return Next::replace;
}

void Delivery::hurry(TimePoint now) {
  due_ = std::min(due_, std::max(now, settled_));
}

void Delivery::wait(std::optional<milliseconds> wish, TimePoint now, double random) {
  const auto delay = wish.value_or(backoff(attempts_, kFirstDelay, kMaxDelay, random));
  ++attempts_;
  due_ = std::max(now + delay, settled_);
}

}  // namespace sandbox_worker::protocol
