// One long session under faults: many session threads, a network that fails again and again, and at the end
// the accounts. Usage: soak [SECONDS [SEED]]; WORKER_UNDER_TEST names another build of the worker.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <stop_token>
#include <thread>

#include "tests/session_server/load.hpp"
#include "tests/session_server/session_folder.hpp"
#include "tests/session_server/session_server.hpp"
#include "tests/session_server/worker_process.hpp"
#include "tests/soak/worker_usage.hpp"

using namespace session_server;
using namespace std::chrono_literals;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t kThreads = 64;
constexpr std::size_t kOpenPerThread = 2;
constexpr auto kBetweenCuts = 5s;
/// Until the buffers of the worst moments have had their turn.
constexpr auto kWarmUp = 30s;
constexpr std::size_t kBytesPerCall = 64;
constexpr std::size_t kGrowth = 2 * 1024 * 1024;
/// Kept-alive connections come and go: at most 8 idle ones and the stream's.
constexpr std::size_t kMostSockets = 16;

/// Refused with 503, closed and reset before the answer, and closed after the request took effect.
const std::array<Fault, 4> kFaults = {
    Fault{.action = FaultAction::status, .status = 503}, Fault{.action = FaultAction::close},
    Fault{.action = FaultAction::reset}, Fault{.action = FaultAction::close, .commit = true}};

/// 20 % of the posts, in equal shares.
void add_post_faults(SessionServer& server, std::uint64_t seed) {
  // Each rule sees what those before it let pass.
  double share = 5;
  for (auto fault : kFaults) {
    fault.on = RequestKind::post;
    fault.percent = share;
    fault.seed = seed++;
    share = 5 / (1 - share / 100);
    server.add_fault(std::move(fault));
  }
}

/// Each fifth heartbeat, in turn. Not by chance: there are few of them, and a row of failures ends the lease.
class HeartbeatFaults {
 public:
  explicit HeartbeatFaults(SessionServer& server) : server_(server) {}

  /// Often enough to be ahead of the next heartbeat.
  void look() {
    const auto beats = server_.inspect([](const Service& s) { return s.count(RequestKind::heartbeat); });
    if (beats < next_after_) return;
    auto fault = kFaults[faults_++ % kFaults.size()];
    fault.on = RequestKind::heartbeat;
    server_.add_fault(std::move(fault));
    next_after_ = beats + 5;
  }

 private:
  SessionServer& server_;
  std::size_t faults_ = 0;
  std::size_t next_after_ = 1;  // the first one begins the lease; the session is about what comes then
};

/// Calls that wait for their turn, by session thread, and those that are open.
class Feeder {
 public:
  Feeder(SessionServer& server, const LoadPlan& plan) : server_(server), plan_(plan) {
    for (std::size_t i = 0; i < plan.calls.size(); ++i)
      waiting_[plan.calls[i].call.thread.value_or("")].push_back(i);
  }

  /// Makes what may be made now; the answers of the calls before decide.
  void feed() {
    sweep();
    for (auto& [thread, queue] : waiting_) {
      auto& open = open_[thread];
      while (open.size() < kOpenPerThread && !queue.empty()) {
        const auto next = queue.front();
        queue.pop_front();
        open.push_back(next);
        made_.push_back(next);
        server_.call(plan_.calls[next].call);
      }
    }
  }

  /// Waits until all that was made is answered.
  bool settle(std::chrono::milliseconds limit, HeartbeatFaults& heartbeat_faults) {
    const auto end = Clock::now() + limit;
    while (Clock::now() < end) {
      sweep();
      if (std::ranges::all_of(open_, [](const auto& lane) { return lane.second.empty(); })) return true;
      heartbeat_faults.look();
      wait_for_answer();
    }
    return false;
  }

  void wait_for_answer() {
    const auto seen = server_.inspect([](const Service& s) { return s.session.events().size(); });
    server_.wait(50ms, [&](const Service& s) { return s.session.events().size() > seen; });
  }

  const std::vector<std::size_t>& made() const { return made_; }

 private:
  void sweep() {
    server_.inspect([&](const Service& s) {
      for (auto& [thread, open] : open_) {
        std::erase_if(open, [&](std::size_t i) {
          const Call* call = s.session.find(plan_.calls[i].call.id);
          return call && !call->answers.empty();
        });
      }
    });
  }

  SessionServer& server_;
  const LoadPlan& plan_;
  std::map<std::string, std::deque<std::size_t>> waiting_;
  std::map<std::string, std::vector<std::size_t>> open_;
  std::vector<std::size_t> made_;
};

void cut_again_and_again(SessionServer& server, const std::stop_token& stop) {
  constexpr Cut kCuts[] = {Cut::close, Cut::drop, Cut::reset, Cut::half_event};
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  for (std::size_t cuts = 0; !stopped.wait_for(lock, stop, kBetweenCuts, [] { return false; }); ++cuts) {
    if (stop.stop_requested()) return;
    server.cut_streams(kCuts[cuts % 4]);
  }
}

class Report {
 public:
  void line(const std::string& text) { fmt::print("{}\n", text); }
  void check(bool holds, const std::string& text) {
    fmt::print("{} {}\n", holds ? "ok  " : "FAIL", text);
    failed_ = failed_ || !holds;
  }
  bool failed() const { return failed_; }

 private:
  bool failed_ = false;
};

void check_answers(Report& report, const Service& service, const LoadPlan& plan,
                   const std::vector<std::size_t>& made) {
  std::size_t lost = 0;
  std::size_t twice = 0;
  std::size_t wrong = 0;
  for (const auto i : made) {
    const auto& planned = plan.calls[i];
    const Call* call = service.session.find(planned.call.id);
    lost += call->answers.empty();
    twice += call->answers.size() > 1;
    if (call->answers.empty()) continue;
    const auto& answer = call->answers.front();
    const bool as_planned = answer.is_error == planned.is_error &&
                            answer.content.dump().find(planned.contains) != std::string::npos;
    wrong += !as_planned;
    if (!as_planned && wrong <= 3)
      report.line(fmt::format("{}: {}", planned.call.id, answer.content.dump().substr(0, 300)));
  }
  report.check(lost == 0, fmt::format("{} of {} calls without an answer", lost, made.size()));
  report.check(twice == 0, fmt::format("{} calls with two answers", twice));
  report.check(wrong == 0, fmt::format("{} calls with a wrong answer", wrong));
}

void check_effects(Report& report, const LoadPlan& plan, const std::vector<std::size_t>& made,
                   const std::filesystem::path& workdir) {
  std::multiset<std::string> ran;
  std::ifstream file(workdir / kRanFile);
  for (std::string line; std::getline(file, line);) ran.insert(line);
  std::size_t commands = 0;
  std::size_t not_once = 0;
  for (const auto i : made) {
    if (plan.calls[i].call.name != "bash") continue;
    ++commands;
    not_once += ran.count(fmt::format("ran {}", i)) != 1;
  }
  report.check(not_once == 0 && ran.size() == commands,
               fmt::format("{} of {} commands not run exactly once", not_once, commands));
}

void check_usage(Report& report, const Usage& warm, const Usage& end, std::size_t calls) {
  const auto growth =
      end.anonymous_bytes > warm.anonymous_bytes ? end.anonymous_bytes - warm.anonymous_bytes : 0;
  report.check(growth <= kGrowth + kBytesPerCall * calls,
               fmt::format("memory {} KiB after warm-up, {} KiB at the end: {} KiB more for {} calls",
                           warm.anonymous_bytes / 1024, end.anonymous_bytes / 1024, growth / 1024, calls));
  report.check(end.other_descriptors == warm.other_descriptors && end.sockets <= kMostSockets,
               fmt::format("descriptors {} and {} sockets after warm-up, {} and {} at the end",
                           warm.other_descriptors, warm.sockets, end.other_descriptors, end.sockets));
  report.check(end.descendants == warm.descendants,
               fmt::format("processes of the worker: {} after warm-up, {} at the end", warm.descendants,
                           end.descendants));
}

void show_requests(Report& report, const Service& service) {
  for (const auto kind : {RequestKind::post, RequestKind::heartbeat}) {
    const auto& all = service.requests();
    const auto total = std::ranges::count(all, kind, &RequestRecord::kind);
    const auto faulted =
        std::ranges::count_if(all, [&](const auto& r) { return r.kind == kind && r.faulted; });
    report.line(
        fmt::format("     {} {}s, {} faulted ({:.0f} %)", total, name_of(kind), faulted,
                    100.0 * static_cast<double>(faulted) / static_cast<double>(std::max<long>(1, total))));
  }
  report.line(fmt::format("     {} streams, {} history pages", service.streams_opened,
                          service.count(RequestKind::history)));
}

int soak(seconds duration, std::uint64_t seed) {
  Report report;
  report.line(fmt::format("{} s, {} threads, seed {}", duration.count(), kThreads, seed));
  Settings settings;
  settings.work.ttl_seconds = 8;  // so that there are some heartbeats to fault
  SessionServer server(std::move(settings));
  SessionFolder folder(std::nullopt);
  const char* other = std::getenv("WORKER_UNDER_TEST");
  WorkerProcess::Options start{.command = {other && *other ? other : WORKER_BINARY},
                               .environment = folder.environment(),
                               .workdir = folder.workdir(),
                               .log = folder.log(),
                               .on_exit = [&] { server.nudge(); }};
  for (auto& [name, value] : server.worker_environment()) start.environment[name] = value;
  start.environment["SANDBOX_WORKER_MAX_IDLE"] = "1s";
  WorkerProcess worker(std::move(start));
  add_post_faults(server, seed);
  HeartbeatFaults heartbeat_faults(server);

  // More than there is time for.
  const auto plan = plan_load(
      {.calls = static_cast<std::size_t>(duration.count()) * 1500, .threads = kThreads, .seed = seed});
  Feeder feeder(server, plan);
  const auto began = Clock::now();
  auto look_at = began + std::max<seconds>(duration / 5, kWarmUp);
  std::jthread cutter([&](const std::stop_token& stop) { cut_again_and_again(server, stop); });
  std::optional<Usage> warm;
  std::size_t warm_calls = 0;
  bool settled = true;
  while (Clock::now() < began + duration && !worker.exited() && settled) {
    feeder.feed();
    heartbeat_faults.look();
    feeder.wait_for_answer();
    if (Clock::now() < look_at) continue;
    // A calm moment, so that what is in use is what is kept.
    settled = feeder.settle(120s, heartbeat_faults);
    const auto usage = Usage::of(worker.pid());
    report.line(
        fmt::format("     {} KiB after {} calls", usage.anonymous_bytes / 1024, feeder.made().size()));
    if (!warm) warm_calls = feeder.made().size();
    if (!warm) warm = usage;
    look_at = Clock::now() + duration / 5;
  }
  settled = settled && feeder.settle(120s, heartbeat_faults);
  report.check(settled, "all calls answered within 2 minutes after the last one");
  const auto end = Usage::of(worker.pid());
  cutter.request_stop();
  const auto took = std::chrono::duration_cast<seconds>(Clock::now() - began);
  const auto calls = feeder.made().size();
  report.line(fmt::format("     {} calls in {} s", calls, took.count()));

  server.clear_faults();
  server.idle();
  server.wait(60s, [&](const Service&) { return worker.exited(); });
  report.check(worker.exit_code() == 0, fmt::format("exit {}", worker.exit_code().value_or(-1)));
  server.inspect([&](const Service& service) {
    show_requests(report, service);
    check_answers(report, service, plan, feeder.made());
  });
  check_effects(report, plan, feeder.made(), folder.workdir());
  if (warm) check_usage(report, *warm, end, calls - warm_calls);
  report.check(warm.has_value(), "the warm-up was reached");
  report.check(processes_below(folder.workdir()).empty(), "no process left");
  std::string left;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.runtime_dir()))
    left += " " + entry.path().filename().string();
  report.check(left.empty(), "files left in the runtime directory:" + (left.empty() ? " none" : left));
  const auto violations = server.finish();
  report.check(violations.empty(), fmt::format("{} violations of the contract", violations.size()));
  for (const auto& violation : violations) report.line("     " + violation);
  if (report.failed()) {
    const auto log = folder.log_text();
    report.line("the end of the worker's log:");
    report.line(log.substr(log.size() > 4000 ? log.size() - 4000 : 0));
  }
  return report.failed() ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  const long duration = argc > 1 ? std::strtol(argv[1], nullptr, 10) : 600;
  const unsigned long seed = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 1;
  if (duration < 60 || argc > 3) {
    fmt::print(stderr, "usage: soak [SECONDS [SEED]], at least 60 s\n");
    return 2;
  }
  return soak(seconds(duration), seed);
}
