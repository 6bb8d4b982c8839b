#include "worker/outbox.hpp"

#include <fmt/format.h>

#include <utility>

#include "protocol/retry.hpp"
#include "worker/limits.hpp"
#include "worker/wait.hpp"

namespace sandbox_worker::worker {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

// wire.md#results
constexpr milliseconds kFirstDelay = 1s;
constexpr milliseconds kMaxDelay = 30s;

/// The statuses with which the service refuses a result for what is in it.
bool refuses_content(unsigned status) {
  return status == 400 || status == 413 || status == 422;
}

protocol::CallResult replacement_for(const protocol::CallResult& refused, unsigned status) {
  protocol::CallResult plain;
  plain.call_id = refused.call_id;
  plain.custom = refused.custom;
  plain.is_error = true;
  plain.content.emplace_back(protocol::TextBlock{fmt::format(
      "the call ran, but the service refused its result (status {}); ask for less at once", status)});
  return plain;
}

}  // namespace

Outbox::Outbox(asio::any_io_executor executor, Service& service,
               std::function<bool(const std::string&)> is_answered,
               std::function<void(const std::string&)> on_closed, const Log& log)
    : executor_(std::move(executor)),
      service_(service),
      is_answered_(std::move(is_answered)),
      on_closed_(std::move(on_closed)),
      log_(log) {}

void Outbox::add(protocol::CallResult result) {
  sweep();
  const auto id = result.call_id;
  postings_.push_back(Posting{id, Task(executor_, post(std::move(result)))});
}

void Outbox::sweep() {
  postings_.remove_if([](const Posting& posting) { return posting.task.done(); });
}

asio::awaitable<void> Outbox::post(protocol::CallResult result) {
  const auto id = result.call_id;
  bool replaced = false;
  for (int attempt = 0;; ++attempt) {
    if (is_answered_(id)) break;  // e.g. an earlier attempt arrived, though its answer was lost
    auto answer = co_await service_.post({result});
    if (answer || is_answered_(id)) break;
    const Failure failure = std::move(answer.error());
    if (failure.fatal) {
      log_.error("result refused", {{"id", id}, {"why", failure.message}});
      if (replaced || !refuses_content(failure.status)) break;
      result = replacement_for(result, failure.status);
      replaced = true;
      continue;
    }
    const auto delay =
        failure.retry_after.value_or(protocol::backoff(attempt, kFirstDelay, kMaxDelay, random_fraction()));
    log_.warn("result not posted, trying again",
              {{"id", id}, {"why", failure.message}, {"delay_ms", delay.count()}});
    co_await sleep_until(steady_clock::now() + delay);
  }
  on_closed_(id);
}

asio::awaitable<void> Outbox::join_all() {
  for (auto& posting : postings_) co_await posting.task.join();
}

asio::awaitable<void> Outbox::close(milliseconds limit) {
  Task joined(executor_, join_all());
  co_await within(limit, joined.join());
  for (auto& posting : postings_) {
    if (posting.task.done()) continue;
    log_.error("result given up", {{"id", posting.id}});
    posting.task.cancel();
  }
  co_await joined.join();
}

}  // namespace sandbox_worker::worker
