#include "tests/session_server/play.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <memory>
#include <thread>

#include "tests/session_server/console.hpp"
#include "tests/session_server/expectation.hpp"
#include "tests/session_server/player.hpp"
#include "tests/session_server/session_folder.hpp"
#include "tests/session_server/session_server.hpp"
#include "tests/session_server/worker_process.hpp"

namespace session_server {
namespace {

using std::chrono::steady_clock;

constexpr auto kByHand = std::chrono::hours(1);  // how long a person may take to start a worker
constexpr auto kSurvivors = std::chrono::seconds(2);

/// Passes a request to end on to the worker, so that an ended test leaves none behind.
class TermForwarder {
 public:
  explicit TermForwarder(WorkerProcess& worker)
      : thread_([this, &worker] {
          sigset_t term;
          sigemptyset(&term);
          sigaddset(&term, SIGTERM);
          const timespec interval{.tv_sec = 0, .tv_nsec = 100'000'000};
          while (!ended_) {
            if (sigtimedwait(&term, nullptr, &interval) == SIGTERM) worker.signal(SIGTERM);
          }
        }) {}
  ~TermForwarder() {
    ended_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

std::string count_of(std::size_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string summary(const SessionServer& server, std::optional<int> exit_code,
                    steady_clock::time_point start) {
  return server.inspect([&](const Service& service) {
    std::size_t answers = 0;
    for (auto& [id, call] : service.session.calls()) answers += call.answers.size();
    return fmt::format("{}, {}, {}, {}, {}, {:.1f} s", count_of(service.session.calls().size(), "call"),
                       count_of(answers, "answer"), count_of(service.streams_opened, "stream"),
                       count_of(service.work.heartbeats().size(), "heartbeat"),
                       exit_code ? fmt::format("exit {}", *exit_code) : "no exit seen",
                       std::chrono::duration<double>(steady_clock::now() - start).count());
  });
}

void print_requests(const SessionServer& server, Console& console) {
  const auto requests = server.inspect([](const Service& service) { return service.requests(); });
  for (auto& request : requests) {
    console.note(fmt::format("{} {} {} {}{}", timestamp(request.at).substr(11, 12), request.method,
                             request.target, request.status, request.faulted ? " (fault)" : ""));
  }
}

void say_how_to_start(const Script& script, const SessionServer& server, const SessionFolder& folder,
                      Console& console) {
  console.note("start a worker with these variables, in another terminal:");
  for (auto& [name, value] : server.worker_environment())
    console.note(fmt::format("export {}='{}'", name, value));
  console.note(fmt::format("export SANDBOX_WORKER_WORKDIR='{}'", folder.workdir().string()));
  console.note(fmt::format("export SANDBOX_WORKER_MAX_IDLE='{}'", script.worker.max_idle));
}

std::unique_ptr<WorkerProcess> start_worker(const Script& script, std::vector<std::string> command,
                                            SessionServer& server, const SessionFolder& folder,
                                            bool verbose) {
  for (auto& argument : script.worker.arguments) {
    fill_in(command.emplace_back(argument), folder.workdir());
  }
  auto environment = folder.environment();
  for (auto& [name, value] : server.worker_environment()) environment[name] = value;
  environment["SANDBOX_WORKER_MAX_IDLE"] = script.worker.max_idle;
  for (auto& [name, value] : script.worker.environment) fill_in(environment[name] = value, folder.workdir());
  WorkerProcess::Options options{.command = std::move(command),
                                 .environment = std::move(environment),
                                 .workdir = folder.workdir(),
                                 .log = verbose ? std::filesystem::path() : folder.log(),
                                 .on_exit = [&server] { server.nudge(); }};
  return std::make_unique<WorkerProcess>(std::move(options));
}

/// The worker has to end by itself now; what it should have left, and what not.
void check_worker(const Script& script, WorkerProcess& worker, SessionServer& server,
                  const SessionFolder& folder, std::vector<std::string>& failures) {
  server.wait(script.end.within, [&](const Service&) { return worker.exited(); });
  if (!worker.exited()) {
    failures.push_back(fmt::format("the worker did not end within {} ms", script.end.within.count()));
    return;
  }
  if (script.end.exit_code && worker.exit_code() != *script.end.exit_code) {
    failures.push_back(fmt::format("the worker's exit code is {}, should be {}", *worker.exit_code(),
                                   *script.end.exit_code));
  }
  const auto deadline = steady_clock::now() + kSurvivors;
  std::vector<pid_t> survivors = processes_below(folder.workdir());
  while (!survivors.empty() && steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    survivors = processes_below(folder.workdir());
  }
  for (const pid_t pid : survivors) {
    failures.push_back(fmt::format("process {} was left behind", pid));
    kill(pid, SIGKILL);
  }
}

void check_account(const Script& script, const SessionServer& server, const std::string& log,
                   std::vector<std::string>& failures) {
  const bool stopped =
      server.inspect([](const Service& service) { return service.work.stopped_by_worker(); });
  if (script.end.stopped && stopped != *script.end.stopped) {
    failures.emplace_back(stopped ? "the worker stopped the work item, should not have"
                                  : "the work item was not stopped");
  }
  for (auto& part : script.end.log_contains) {
    if (log.find(part) == std::string::npos) failures.push_back("the worker's log lacks: " + part);
  }
}

std::string last_lines(const std::string& text, std::size_t count) {
  std::size_t at = text.size();
  while (count-- > 0 && at != std::string::npos && at > 0) at = text.rfind('\n', at - 1);
  return at == std::string::npos || at == 0 ? text : text.substr(at + 1);
}

}  // namespace

PlayResult play(const Script& script, const std::vector<std::string>& command, const PlayOptions& options) {
  const auto start = steady_clock::now();
  Console console(options.out);
  const SessionFolder folder(options.workdir);
  SessionServer server(script.settings, {.port = options.port, .tls = {}});
  for (auto& fault : script.faults) server.add_fault(fault);

  std::unique_ptr<WorkerProcess> worker;
  std::unique_ptr<TermForwarder> forwarder;
  const auto start_again = [&] {
    forwarder.reset();
    if (worker) {
      worker.reset();
      server.worker_killed();
    }
    worker = start_worker(script, command, server, folder, options.verbose);
    forwarder = std::make_unique<TermForwarder>(*worker);
  };
  WorkerHandle handle{.workdir = folder.workdir()};
  if (!command.empty()) {
    handle.restart = start_again;
    handle.gone = [&worker] { return worker && worker->exited(); };
    handle.signal = [&worker](int number) { worker->signal(number); };
  }
  Player player(server, script, handle, console);
  console.running(script.about.empty() ? script.name : script.name + " · " + script.about);
  player.play_history();

  PlayResult result;
  if (command.empty()) {
    say_how_to_start(script, server, folder, console);
    server.wait(kByHand, [](const Service& service) { return service.streams_opened > 0; });
  } else {
    start_again();
  }
  const bool whole = player.play_steps();
  if (whole) player.play_end();
  std::vector<std::string> failures;
  if (worker && whole) check_worker(script, *worker, server, folder, failures);
  if (!worker) server.wait(script.end.within, [](const Service& service) { return service.work.stopped(); });
  if (worker) result.exit_code = worker->exit_code();
  forwarder.reset();
  worker.reset();
  result.log = folder.log_text();
  if (whole) {
    player.check_end();
    check_account(script, server, result.log, failures);
  }
  for (auto& failure : failures) console.problem(failure);
  result.failures = player.failures();
  result.failures.insert(result.failures.end(), failures.begin(), failures.end());
  result.violations = server.finish();
  for (auto& violation : result.violations) console.problem("against the contract: " + violation);
  result.requests = server.inspect([](const Service& service) { return service.requests(); });
  result.heartbeats = server.inspect([](const Service& service) { return service.work.heartbeats(); });
  if (options.verbose) print_requests(server, console);
  if (!result.ok() && !result.log.empty()) {
    console.note("the last of the worker's log:");
    console.note(last_lines(result.log, 40));
  }
  if (result.ok()) {
    console.done(summary(server, result.exit_code, start));
  } else {
    console.problem(fmt::format("{} failed: {}", script.name, summary(server, result.exit_code, start)));
  }
  return result;
}

}  // namespace session_server
