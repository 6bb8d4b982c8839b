#include "worker/heartbeat.hpp"

#include <algorithm>
#include <utility>

namespace sandbox_worker::worker {

namespace asio = boost::asio;
using protocol::Lease;
using std::chrono::steady_clock;

Heartbeat::Heartbeat(const asio::any_io_executor& executor, Service& service, Lease lease, Events events,
                     Gate& first_sent, const Log& log)
    : service_(service),
      lease_(std::move(lease)),
      events_(std::move(events)),
      first_sent_(first_sent),
      log_(log),
      woken_(executor) {}

void Heartbeat::on_woken(const Absence& absence) {
  lease_.on_woken(absence.uncounted, absence.clock_jumped);
  beat_at_once_ = true;
  woken_.ring();
}

asio::awaitable<void> Heartbeat::run() {
  for (;;) {
    const bool before_first = !lease_.confirmed();
    beat_at_once_ = false;
    const auto verdict = co_await beat();
    first_sent_.open();
    if (verdict != Lease::Verdict::hold) {
      events_.on_over(verdict, why_, before_first);
      co_return;
    }
    if (before_first && lease_.confirmed()) events_.on_confirmed();
    if (!beat_at_once_) co_await woken_.wait_until(std::min(lease_.next_at(), lease_.give_up_at()));
    if (lease_.check(steady_clock::now()) == Lease::Verdict::lost) {
      events_.on_over(Lease::Verdict::lost, why_.empty() ? "no heartbeat succeeded in time" : why_,
                      !lease_.confirmed());
      co_return;
    }
  }
}

asio::awaitable<Lease::Verdict> Heartbeat::beat() {
  const auto now = steady_clock::now();
  auto expected = lease_.begin_beat(now);
  if (events_.on_sending) events_.on_sending(expected);
  const auto answer = co_await service_.heartbeat(std::move(expected), lease_.beat_limit(now),
                                                  [this] { first_sent_.open(); });
  const auto after = steady_clock::now();
  why_ = answer.message;
  switch (answer.kind) {
    case BeatAnswer::Kind::reply: {
      log_.debug("heartbeat", {{"ttl_s", answer.reply.lease.ttl.count()}});
      const auto verdict = lease_.on_reply(answer.reply, after);
      if (verdict == Lease::Verdict::hold && events_.on_good) events_.on_good(lease_);
      co_return verdict;
    }
    case BeatAnswer::Kind::conflict:
      if (events_.on_void) events_.on_void();
      co_return on_conflict(answer, after);
    case BeatAnswer::Kind::refused:
      if (events_.on_void) events_.on_void();
      co_return lease_.on_refused();
    case BeatAnswer::Kind::failure:
      break;
  }
  log_.warn("heartbeat failed", {{"why", why_}});
  if (!answer.answer_lost && events_.on_void) events_.on_void();
  co_return lease_.on_failure(answer.answer_lost, after);
}

Lease::Verdict Heartbeat::on_conflict(const BeatAnswer& answer, steady_clock::time_point now) {
  log_.warn("heartbeat refused, the lease has changed", {{"why", why_}});
  const auto verdict = lease_.on_conflict(answer.current, now);
  if (verdict == Lease::Verdict::hold && lease_.watch()) {
    if (events_.on_watch) events_.on_watch(*lease_.watch());
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(lease_.next_at() - now);
    log_.info("the lease may be ours: looking whether another worker renews it", {{"ms", wait.count()}});
  }
  return verdict;
}

}  // namespace sandbox_worker::worker
