#include "worker/work_item.hpp"

#include <algorithm>
#include <utility>

#include "tools/offload.hpp"
#include "tools/spill.hpp"
#include "worker/limits.hpp"
#include "worker/repository.hpp"
#include "worker/task.hpp"
#include "worker/wait.hpp"

namespace sandbox_worker::worker {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using protocol::Lease;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

// The whole teardown is promised within 5 s; these are its steps' shares.
constexpr milliseconds kTeardown = 5000ms;
constexpr milliseconds kStopServing = 100ms;
constexpr milliseconds kStopCalls = 1200ms;
constexpr milliseconds kPostResults = 1000ms;
constexpr milliseconds kStopShells = 1200ms;
constexpr milliseconds kStopItem = 1500ms;

/// Connections opened at once while the first heartbeat is under way: the stream's, and one for the rest.
constexpr int kWarmConnections = 2;

/// wire.md#requests. The key never gets into a log: these headers are only ever written to the connection.
HttpOptions with_protocol_headers(const Config& config) {
  HttpOptions options = config.http;
  options.headers.emplace_back("authorization", "Bearer " + config.token);
  options.headers.emplace_back("anthropic-version", "2023-06-01");
  options.headers.emplace_back("anthropic-beta", "managed-agents-2026-04-01");
  options.headers.emplace_back("user-agent", "sandbox-worker/" SANDBOX_WORKER_VERSION);
  return options;
}

bool is_ours(std::string_view name, bool custom) {
  return !custom && tools::Toolset::has(name);
}

bool posts_results(EndReason reason) {
  return reason != EndReason::session_over && reason != EndReason::lease_lost;
}

int exit_status(EndReason reason) {
  switch (reason) {
    case EndReason::failed:
      return 1;
    case EndReason::lease_lost:
      return 3;
    default:
      return 0;
  }
}

asio::awaitable<void> join_all(std::vector<Task>& tasks) {
  for (auto& task : tasks) co_await task.join();
}

}  // namespace

WorkItem::WorkItem(asio::any_io_executor executor, const Config& config, tools::ToolsetOptions tools,
                   const Log& log)
    : executor_(std::move(executor)),
      config_(config),
      tools_(std::move(tools)),
      log_(log),
      started_(steady_clock::now()),
      http_(executor_, config.base_url, with_protocol_headers(config)),
      service_(http_, tools_.pool, Service::Ids{config.session_id, config.work_id, config.environment_id},
               config.http.response_timeout),
      ledger_(is_ours, config.max_idle, random_hash_key()),
      end_(executor_),
      first_beat_sent_(executor_),
      dispatcher_(
          executor_, [this] { return std::make_unique<tools::Toolset>(tools_); },
          [this](protocol::CallResult result) { outbox_.add(std::move(result)); },
          [this](const std::string& id) { session_.on_closed(id); }, log),
      outbox_({executor_, tools_.pool, tools_.spill->directory(),
               [this](const std::string& id) { return ledger_.is_closed(id); },
               [this] { return ledger_.history_from(); },
               [this](const std::string& id) { session_.on_closed(id); }},
              service_, log),
      session_({executor_, tools_.pool, config.stream_silence, started_}, service_, ledger_, dispatcher_,
               end_, log),
      heartbeat_(executor_, service_, Lease(started_, config.last_heartbeat),
                 {[this] {
                    lease_confirmed_ = true;
                    open_gate_when_ready();
                  },
                  [this](Lease::Verdict verdict, const std::string& why, bool first) {
                    on_lease_over(verdict, why, first);
                  }},
                 first_beat_sent_, log) {}

asio::awaitable<int> WorkItem::run() {
  log_.info("starting", {{"session", config_.session_id},
                         {"work", config_.work_id},
                         {"workdir", config_.workdir},
                         {"version", SANDBOX_WORKER_VERSION}});
  Task heartbeat(executor_, heartbeat_.run());
  Task clocks(executor_, watch_for_suspend([this](const Absence& absence) { on_woken(absence); }));
  std::vector<Task> serving;
  serving.emplace_back(executor_, serve());
  serving.emplace_back(executor_, prepare());
  for (int i = 0; i < kWarmConnections; ++i) serving.emplace_back(executor_, http_.warm_up());
  asio::steady_timer run_limit(executor_);
  if (config_.max_run > 0ms) {
    run_limit.expires_after(config_.max_run);
    run_limit.async_wait([this](boost::system::error_code error) {
      if (!error) end_.set(EndReason::time_is_up, "the run's time limit is reached");
    });
  }
  co_await end_.wait();
  run_limit.cancel();
  log_.info("ending", {{"why", end_.why()}});

  const auto deadline = steady_clock::now() + kTeardown;
  for (auto& task : serving) task.cancel();
  co_await within(kStopServing, join_all(serving));
  const int status = co_await tear_down();
  heartbeat.cancel();
  clocks.cancel();
  co_await heartbeat.join();
  co_await clocks.join();
  // What takes its time to stop, such as a copy that is being undone, may have what is left.
  const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
  if (!co_await within(std::max(left, 1ms), join_all(serving))) {
    log_.error("the set-up did not stop in time");
    at_rest_ = false;
  }

  log_.info("ended", {{"status", status}});
  co_return status;
}

void WorkItem::on_woken(const Absence& absence) {
  log_.warn("this process was away, connecting anew", {{"away_ms", absence.length.count()}});
  http_.give_up_connections();
  heartbeat_.on_woken(absence);
  session_.on_woken();
}

asio::awaitable<void> WorkItem::serve() {
  // wire.md#lease: the first heartbeat goes before any other request.
  co_await first_beat_sent_.wait();
  co_await session_.run();
}

asio::awaitable<void> WorkItem::prepare() {
  if (!config_.repo_source.empty()) {
    auto copied = co_await tools::offload(tools_.pool, [this](std::stop_token stop) {
      return copy_repository(config_.repo_source, config_.workdir, config_.repo_name, stop);
    });
    if (!copied) {
      end_.set(EndReason::failed, copied.error());
      co_return;
    }
    if (*copied == RepositoryCopy::made) log_.info("repository copied", {{"name", config_.repo_name}});
    if (*copied == RepositoryCopy::no_source) {
      log_.warn("no repository to copy", {{"source", config_.repo_source}});
    }
  }
  prepared_ = true;
  open_gate_when_ready();
}

void WorkItem::open_gate_when_ready() {
  if (lease_confirmed_ && prepared_) dispatcher_.open_gate();
}

void WorkItem::on_lease_over(Lease::Verdict verdict, const std::string& why, bool first) {
  switch (verdict) {
    case Lease::Verdict::stop:
      if (first) {
        log_.warn(
            "the very first heartbeat was told to stop: usually the orchestrator's script returned before "
            "the sandbox "
            "was up, so that the poller stopped the work item");
      }
      end_.set(EndReason::item_stopped, "the work item is being stopped");
      break;
    case Lease::Verdict::lost:
      lease_gone_ = true;
      end_.set(EndReason::lease_lost, "the lease is lost: " + why);
      break;
    case Lease::Verdict::refused:
      end_.set(EndReason::failed, "the lease can't be kept: " + why);
      break;
    case Lease::Verdict::hold:
      break;
  }
}

asio::awaitable<int> WorkItem::tear_down() {
  const bool post = posts_results(end_.reason());
  int status = exit_status(end_.reason());
  if (!co_await within(kStopCalls, dispatcher_.stop(post))) {
    log_.error("a call did not stop in time");
    at_rest_ = false;
  }
  co_await outbox_.close(post && !lease_gone_ ? kPostResults : 0ms);
  if (!co_await within(kStopShells, dispatcher_.close())) {
    log_.error("a shell did not end in time");
    at_rest_ = false;
  }
  if (lease_gone_) co_return status;
  co_return co_await stop_item(status);
}

asio::awaitable<int> WorkItem::stop_item(int status) {
  const auto stopped = co_await within(kStopItem, service_.stop_work());
  if (stopped && *stopped) co_return status;
  log_.error("the work item was not stopped",
             {{"why", stopped ? stopped->error().message : "no answer in time"}});
  co_return status == 0 ? 1 : status;
}

}  // namespace sandbox_worker::worker
