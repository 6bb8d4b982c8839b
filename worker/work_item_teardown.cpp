// How a work item ends: step by step, each with its share of the time.
#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "tools/offload.hpp"
#include "worker/task.hpp"
#include "worker/wait.hpp"
#include "worker/work_item.hpp"

namespace sandbox_worker::worker {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

// Together with what work_item.cpp does before: 5 s.
constexpr milliseconds kStopCalls = 1200ms;
constexpr milliseconds kPostResults = 1000ms;
constexpr milliseconds kStopShells = 1200ms;
constexpr milliseconds kStopItem = 1500ms;
constexpr milliseconds kRemoveJournal = 500ms;  // at least; a busy disk may have what the steps before left
constexpr milliseconds kUnwind = 100ms;         // of what was cut off

}  // namespace

asio::awaitable<int> WorkItem::tear_down(steady_clock::time_point deadline) {
  const bool post = posts_results(end_.reason());
  int status = exit_status(end_.reason());
  if (!co_await within(kStopCalls, dispatcher_.stop(post))) {
    log_.error("a call did not stop in time");
    at_rest_ = false;
  }
  const auto posted_until = steady_clock::now() + (post ? kPostResults : 0ms);
  const auto post_for = post && !lease_gone_ ? kPostResults : 0ms;
  co_await finish(post_for + kUnwind, outbox_.close(post_for), "the posting of results");
  at_rest_ = at_rest_ && outbox_.at_rest();
  if (const auto left = posted_until - steady_clock::now(); must_settle_journal() && left > 0ms) {
    co_await finish(std::chrono::ceil<milliseconds>(left), session_.look_for_answers(),
                    "the look for the last answers");
  }
  if (!co_await within(kStopShells, dispatcher_.close())) {
    log_.error("a shell did not end in time");
    at_rest_ = false;
  }
  const auto left = std::chrono::ceil<milliseconds>(deadline - kStopItem - steady_clock::now());
  co_await leave_journal(std::max(left, kRemoveJournal));
  if (lease_gone_) {
    lease_record_.remove();
    co_return status;
  }
  co_return co_await stop_item(status);
}

/// The stream is closed by now, so what was just posted is seen in the history only.
bool WorkItem::must_settle_journal() const {
  return journal_ && journal_->is_taken_over() && !journal_->settled() && !lease_gone_;
}

/// A step of the teardown, cut off at its limit. One that doesn't even stop then, because a thread of the
/// pool hangs in the kernel, is left behind.
asio::awaitable<void> WorkItem::finish(milliseconds limit, asio::awaitable<void> step, std::string what) {
  Task task(executor_, std::move(step));
  if (co_await within(limit, task.join())) co_return;
  log_.warn("a step of the teardown was cut off", {{"what", what}});
  task.cancel();
  if (co_await within(kUnwind, task.join())) co_return;
  log_.error("a step of the teardown did not stop", {{"what", what}});
  at_rest_ = false;
}

/// Takes it away when no worker after us could need it.
asio::awaitable<void> WorkItem::leave_journal(milliseconds limit) {
  if (!journal_ || !at_rest_) co_return;
  if (!journal_->is_taken_over()) {
    std::error_code not_empty;  // it is the worker's before us
    std::filesystem::remove(session_dir_, not_empty);
    co_return;
  }
  if (end_.reason() != EndReason::session_over && !journal_->settled()) {
    log_.info("the journal is left for a worker after us", {{"open_calls", journal_->begun().size()}});
    co_return;
  }
  co_await finish(limit, remove_journal(), "the removal of the journal");
}

asio::awaitable<void> WorkItem::remove_journal() {
  co_await tools::offload(machine_.pool(), [this](const std::stop_token&) {
    journal_->remove();
    return true;
  });
}

asio::awaitable<int> WorkItem::stop_item(int status) {
  const auto stopped = co_await within(kStopItem, service_.stop_work());
  if (stopped && *stopped) {
    lease_record_.remove();
    co_return status;
  }
  log_.error("the work item was not stopped",
             {{"why", stopped ? stopped->error().message : "no answer in time"}});
  co_return status == 0 ? 1 : status;
}

}  // namespace sandbox_worker::worker
