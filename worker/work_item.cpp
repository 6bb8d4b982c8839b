#include "worker/work_item.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "tools/bash_process.hpp"
#include "tools/leftovers.hpp"
#include "tools/offload.hpp"
#include "tools/script_link.hpp"
#include "worker/limits.hpp"
#include "worker/repository.hpp"
#include "worker/runtime_dir.hpp"
#include "worker/task.hpp"
#include "worker/wait.hpp"

namespace sandbox_worker::worker {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using protocol::Lease;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

// The whole teardown is promised within 5 s; work_item_teardown.cpp has the shares of its further steps.
constexpr milliseconds kTeardown = 5000ms;
constexpr milliseconds kStopServing = 100ms;

/// A killed process is gone within milliseconds, unless it hangs in the kernel.
constexpr milliseconds kEndLeftovers = 2s;

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

/// A page of hundreds of megabytes takes a busy service ten seconds to begin. Longer: calls that come on the
/// stream wait for a first reading that hangs. Shorter: a large history is never read.
milliseconds page_silence(milliseconds response_timeout) {
  constexpr milliseconds kMost = 30s;
  return response_timeout > 0ms ? std::min(response_timeout, kMost) : kMost;
}

bool is_ours(std::string_view name, bool custom) {
  return !custom && tools::Toolset::has(name);
}

asio::awaitable<void> join_all(std::vector<Task>& tasks) {
  for (auto& task : tasks) co_await task.join();
}

}  // namespace

WorkItem::WorkItem(Machine& machine, const Config& config, const Log& log)
    : machine_(machine),
      executor_(machine.io().get_executor()),
      config_(config),
      log_(log),
      session_dir_(fmt::format("{}/session-{}", machine.runtime_dir(), file_name_of(config.session_id))),
      started_(steady_clock::now()),
      item_lock_(fmt::format("{}/work-{}.lock", machine.runtime_dir(), file_name_of(config.work_id)),
                 config.work_id),
      session_lock_(session_dir_ + ".lock", config.work_id),
      lease_record_(fmt::format("{}/work-{}.lease", machine.runtime_dir(), file_name_of(config.work_id)),
                    config.work_id, config.last_heartbeat, log),
      http_(executor_, config.base_url, with_protocol_headers(config)),
      service_(http_, machine.pool(), Service::Ids{config.session_id, config.work_id, config.environment_id},
               page_silence(config.http.response_timeout)),
      inputs_(machine.pool(), machine.runtime_dir()),
      ledger_(is_ours, config.max_idle, random_hash_key()),
      end_(executor_),
      first_beat_sent_(executor_),
      lease_confirmed_(executor_),
      journal_read_(executor_),
      dispatcher_(
          executor_, [this] { return make_tools(); }, dispatcher_events(), config.shell_scope, log),
      outbox_({executor_, machine.pool(), machine.runtime_dir(),
               [this](const std::string& id) { return ledger_.is_closed(id); },
               [this] { return ledger_.history_from(); }, [this](const std::string& id) { on_closed(id); }},
              service_, log),
      session_({executor_, machine.pool(), config.stream_silence, started_,
                [this](const std::string& id) { journal_->answered(id); },
                [this](protocol::ToolUse& call) { inputs_.take_in(call); }},
               service_, ledger_, dispatcher_, end_, log) {}

std::unique_ptr<tools::CallRunner> WorkItem::make_tools() {
  auto options = machine_.tool_options();
  options.private_dir = session_dir_;
  options.on_shell = [this](pid_t pid) { journal_->shell_started(pid); };
  return std::make_unique<tools::Toolset>(options);
}

Dispatcher::Events WorkItem::dispatcher_events() {
  Dispatcher::Events events;
  events.on_begin = [this](const std::string& id) { return journal_->began(id); };
  events.on_result = [this](protocol::CallResult result) { return deliver(std::move(result)); };
  events.on_dropped = [this](const std::string& id) { on_closed(id); };
  events.on_begun_before = [this](std::string id, bool custom) {
    return deliver_again(std::move(id), custom);
  };
  events.bring_back = [this](std::shared_ptr<protocol::KeptInput> kept) {
    return inputs_.bring_back(std::move(kept));
  };
  return events;
}

Heartbeat::Events WorkItem::heartbeat_events() {
  Heartbeat::Events events;
  events.on_sending = [this](const std::string& expected) { lease_record_.beat_sent(expected); };
  events.on_good = [this](const Lease& lease) { lease_record_.beat_good(lease); };
  events.on_void = [this] { lease_record_.beat_void(); };
  events.on_watch = [this](const Lease::Watch& watch) { lease_record_.watch_begun(watch); };
  events.on_confirmed = [this] {
    lease_confirmed_.open();
    open_gate_when_ready();
  };
  events.on_over = [this](Lease::Verdict verdict, const std::string& why, bool first) {
    on_lease_over(verdict, why, first);
  };
  return events;
}

asio::awaitable<int> WorkItem::run() {
  log_.info("starting", {{"session", config_.session_id},
                         {"work", config_.work_id},
                         {"workdir", config_.workdir},
                         {"version", SANDBOX_WORKER_VERSION}});
  asio::steady_timer run_limit(executor_);
  if (config_.max_run > 0ms) {
    run_limit.expires_after(config_.max_run);
    run_limit.async_wait([this](boost::system::error_code error) {
      if (!error) end_.set(EndReason::time_is_up, "the run's time limit is reached");
    });
  }
  const bool ours = co_await take_item();
  const int status = ours ? co_await hold_item() : exit_status(end_.reason());
  run_limit.cancel();
  log_.info("ended", {{"status", status}});
  co_return status;
}

/// False: the end came first, and the item is left to the worker that has it.
asio::awaitable<bool> WorkItem::take_item() {
  using namespace asio::experimental::awaitable_operators;
  const auto outcome = co_await (take_turn(item_lock_, "work item", log_) || end_.wait());
  if (outcome.index() == 0) {
    const auto& turn = std::get<0>(outcome);
    if (turn) {
      waited_for_item_ = turn->waited;
      co_return true;
    }
    end_.set(EndReason::failed, "the work item can't be locked: " + turn.error());
  }
  log_.info("ending", {{"why", end_.why()}});
  co_return false;
}

/// Beats for the item, and serves its session once that is ours.
asio::awaitable<int> WorkItem::hold_item() {
  auto lease = lease_record_.take_up();
  if (!lease) lease.emplace(steady_clock::now(), config_.last_heartbeat);
  heartbeat_.emplace(executor_, service_, *std::move(lease), heartbeat_events(), first_beat_sent_, log_);
  Task heartbeat(executor_, heartbeat_->run());
  Task clocks(executor_, watch_for_suspend([this](const Absence& absence) { on_woken(absence); }));
  std::vector<Task> serving;
  serving.emplace_back(executor_, serve());
  serving.emplace_back(executor_, prepare());
  for (int i = 0; i < kWarmConnections; ++i) serving.emplace_back(executor_, http_.warm_up());
  co_await end_.wait();
  log_.info("ending", {{"why", end_.why()}});

  const auto deadline = steady_clock::now() + kTeardown;
  for (auto& task : serving) task.cancel();
  co_await within(kStopServing, join_all(serving));
  const int status = co_await tear_down(deadline);
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
  co_return status;
}

void WorkItem::on_woken(const Absence& absence) {
  log_.warn("this process was away, connecting anew", {{"away_ms", absence.length.count()}});
  http_.give_up_connections();
  heartbeat_->on_woken(absence);
  session_.on_woken();
}

asio::awaitable<void> WorkItem::serve() {
  // wire.md#lease: the first heartbeat goes before any other request.
  co_await first_beat_sent_.wait();
  // The worker before us may have ended the item, so that there is nothing to ask for any more.
  if (waited_for_item_) co_await lease_confirmed_.wait();
  const auto turn = co_await take_turn(session_lock_, "session", log_);
  if (!turn) {
    end_.set(EndReason::failed, "the session can't be locked: " + turn.error());
    co_return;
  }
  if (!co_await open_journal()) co_return;
  journal_read_.open();
  co_await session_.run();
}

asio::awaitable<bool> WorkItem::open_journal() {
  const Journal::Options options{machine_.pool(), session_dir_, config_.session_id, config_.work_id};
  auto journal = co_await tools::offload(
      machine_.pool(), [&](const std::stop_token&) -> std::expected<std::unique_ptr<Journal>, std::string> {
        if (auto made = make_private_dir(session_dir_); !made) {
          return std::unexpected(fmt::format("{}: {}", session_dir_, made.error()));
        }
        tools::ScriptLink::remove_left(session_dir_);
        auto journal = Journal::open(options, log_);
        std::error_code not_empty;
        if (!journal) std::filesystem::remove(session_dir_, not_empty);
        return journal;
      });
  if (!journal) {
    end_.set(EndReason::failed, "the journal can't be opened: " + journal.error());
    co_return false;
  }
  journal_ = std::move(*journal);
  alone_since_ = steady_clock::now();
  if (!journal_->work_before().empty()) {
    log_.info("a worker before us has left its journal",
              {{"its_work", journal_->work_before()}, {"open_calls", journal_->begun().size()}});
  }
  for (auto& id : journal_->begun()) ledger_.remember_begun(std::move(id));
  if (auto output = machine_.open_output(fmt::format("session-{}.output", file_name_of(config_.session_id)));
      !output) {
    end_.set(EndReason::failed, output.error());
    co_return false;
  }
  co_return true;
}

/// What must be done before the first call runs.
asio::awaitable<void> WorkItem::prepare() {
  co_await journal_read_.wait();
  if (!co_await end_leftovers() || !co_await copy_repository()) co_return;
  prepared_ = true;
  open_gate_when_ready();
}

asio::awaitable<bool> WorkItem::end_leftovers() {
  const auto outcome =
      co_await tools::offload(machine_.pool(), [before = journal_->processes()](const std::stop_token& stop) {
        return tools::end_leftovers(before, kEndLeftovers, stop);
      });
  if (outcome.ended > 0) {
    log_.info("ended processes that the worker before left", {{"count", outcome.ended}});
  }
  if (outcome.left > 0) {
    log_.error("processes that the worker before left do not end", {{"count", outcome.left}});
  }
  const auto taken = journal_->take_over(tools::tag_family());
  if (!taken) end_.set(EndReason::failed, "the journal can't be written: " + taken.error());
  co_return taken.has_value();
}

asio::awaitable<bool> WorkItem::copy_repository() {
  if (config_.repo_source.empty()) co_return true;
  auto copied = co_await tools::offload(machine_.tool_pool(), [this](const std::stop_token& stop) {
    return worker::copy_repository(config_.repo_source, config_.workdir, config_.repo_name, stop);
  });
  if (!copied) {
    end_.set(EndReason::failed, copied.error());
    co_return false;
  }
  if (*copied == RepositoryCopy::made) log_.info("repository copied", {{"name", config_.repo_name}});
  if (*copied == RepositoryCopy::no_source) {
    log_.warn("no repository to copy", {{"source", config_.repo_source}});
  }
  co_return true;
}

/// On its way to the service, and kept until it is there.
asio::awaitable<void> WorkItem::deliver(protocol::CallResult result) {
  co_await journal_->finished(result);
  outbox_.add(std::move(result));
}

/// The answer to a call that a worker before us has begun.
asio::awaitable<void> WorkItem::deliver_again(std::string id, bool custom) {
  auto result = co_await journal_->recall(std::move(id), custom);
  co_await journal_->finished(result);
  // That worker may have sent one right before its end, so that it is still on its way.
  outbox_.add(std::move(result), protocol::Delivery::maybe_sent(alone_since_));
}

void WorkItem::on_closed(const std::string& id) {
  journal_->closed(id);
  session_.on_closed(id);
}

void WorkItem::open_gate_when_ready() {
  if (lease_confirmed_.is_open() && prepared_) dispatcher_.open_gate();
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

}  // namespace sandbox_worker::worker
