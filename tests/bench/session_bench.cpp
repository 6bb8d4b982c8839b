// Times whole workers beside each other, as an orchestrator and the service see them:
//   session_bench ROUNDS NAME=PROGRAM[,ARGUMENT...] NAME=PROGRAM[,ARGUMENT...]
// Rounds alternate, so that a busy machine is busy for all. The last one named is the peer that ratios are
// against.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/session_server/session_folder.hpp"
#include "tests/session_server/session_server.hpp"
#include "tests/session_server/worker_process.hpp"

namespace session_server {
namespace {

using namespace std::chrono_literals;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr auto kLimit = 30s;  // on every wait; a worker that is slower than that is broken
constexpr int kCallsPerRound = 100;
constexpr int kWarmUpCalls = 10;  // per tool; interpreters compile while they run

struct Contestant {
  std::string name;
  std::vector<std::string> command;
  std::vector<double> attach_ms;
  std::vector<double> bash_ms;
  std::vector<double> read_ms;
  std::vector<double> peak_mb;
  std::vector<double> cpu_ms;  // of the worker itself, for a whole round
};

double percentile(std::vector<double> values, double share) {
  std::ranges::sort(values);
  return values.at(static_cast<std::size_t>(share * static_cast<double>(values.size() - 1)));
}

/// The number after `name` in /proc/PID/status.
double status_kb(pid_t pid, std::string_view name) {
  std::ifstream file(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name)) return std::stod(line.substr(line.find_first_of("0123456789")));
  }
  throw std::runtime_error(fmt::format("process {} has no {}", pid, name));
}

double cpu_ms(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  // The name in parentheses may hold anything; the 12th and 13th field after it are user and system time.
  std::string_view rest = std::string_view(text).substr(text.rfind(')') + 2);
  double ticks = 0;
  for (int field = 0; field < 13; ++field) {
    const auto word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(word.size() + 1);
    double value = 0;
    if (field >= 11 && std::from_chars(word.data(), word.data() + word.size(), value).ec == std::errc())
      ticks += value;
  }
  return ticks * 1000 / static_cast<double>(sysconf(_SC_CLK_TCK));
}

void require(bool held, const Contestant& worker, std::string_view what, const SessionFolder& folder) {
  if (held) return;
  throw std::runtime_error(fmt::format("{}: {}; its log:\n{}", worker.name, what, folder.log_text()));
}

/// One call after the other; the time from the event's being written to its result's being posted.
std::vector<double> call_times(SessionServer& server, const Contestant& worker, const SessionFolder& folder,
                               const std::string& tool, const Json& input, int count) {
  std::vector<double> times;
  for (int i = 0; i < count; ++i) {
    NewCall call;
    call.id = fmt::format("sevt_{}_{}", tool, i);
    call.name = tool;
    call.input = input;
    server.call(call);
    const bool answered = server.wait(
        kLimit, [&](const Service& service) { return !service.session.find(call.id)->answers.empty(); });
    require(answered, worker, tool + " was not answered", folder);
    const auto [took, ok] = server.inspect([&](const Service& service) {
      const Call& done = *service.session.find(call.id);
      return std::pair(Milliseconds(done.answers.front().at - done.at).count(),
                       !done.answers.front().is_error);
    });
    require(ok, worker, tool + " gave an error", folder);
    if (i >= kWarmUpCalls) times.push_back(took);
  }
  return times;
}

void play_round(Contestant& worker) {
  SessionServer server;
  const SessionFolder folder(std::nullopt);
  std::ofstream(folder.workdir() / "file.txt") << std::string(2000, 'x') << '\n';
  auto environment = folder.environment();
  for (auto& [name, value] : server.worker_environment()) environment[name] = value;
  environment["SANDBOX_WORKER_MAX_IDLE"] = "100ms";

  const auto start = std::chrono::system_clock::now();
  WorkerProcess process({.command = worker.command,
                         .environment = environment,
                         .workdir = folder.workdir(),
                         .log = folder.log(),
                         .on_exit = [&] { server.nudge(); }});
  require(server.wait(kLimit, [](const Service& service) { return service.streams_opened > 0; }), worker,
          "did not attach", folder);
  const auto attached = server.inspect([](const Service& service) {
    return std::ranges::find(service.requests(), RequestKind::stream, &RequestRecord::kind)->at;
  });
  worker.attach_ms.push_back(Milliseconds(attached - start).count());

  const auto add = [&](std::vector<double>& to, const std::string& tool, const Json& input) {
    const auto times = call_times(server, worker, folder, tool, input, kWarmUpCalls + kCallsPerRound);
    to.insert(to.end(), times.begin(), times.end());
  };
  add(worker.bash_ms, "bash", Json{{"command", "echo hello"}});
  add(worker.read_ms, "read", Json{{"file_path", "file.txt"}});
  worker.peak_mb.push_back(status_kb(process.pid(), "VmHWM:") / 1024);
  worker.cpu_ms.push_back(cpu_ms(process.pid()));
  server.idle();
  require(server.wait(kLimit, [&](const Service&) { return process.exited(); }), worker, "did not end",
          folder);
}

void print_row(const std::string& what, const std::vector<Contestant>& workers,
               std::vector<double> Contestant::* values, double share) {
  std::string row = fmt::format("| {} |", what);
  for (const auto& worker : workers) row += fmt::format(" {:.2f} |", percentile(worker.*values, share));
  const double ratio = percentile(workers.back().*values, share) / percentile(workers.front().*values, share);
  fmt::print("{} {:.1f} |\n", row, ratio);
}

void print(const std::vector<Contestant>& workers) {
  fmt::print("| |");
  for (const auto& worker : workers) fmt::print(" {} |", worker.name);
  fmt::print(" ratio |\n|---|");
  for (std::size_t i = 0; i <= workers.size(); ++i) fmt::print("---|");
  fmt::print("\n");
  print_row("start to attached, ms, p50", workers, &Contestant::attach_ms, 0.5);
  print_row("start to attached, ms, p90", workers, &Contestant::attach_ms, 0.9);
  print_row("bash call, ms, p50", workers, &Contestant::bash_ms, 0.5);
  print_row("bash call, ms, p90", workers, &Contestant::bash_ms, 0.9);
  print_row("read call, ms, p50", workers, &Contestant::read_ms, 0.5);
  print_row("read call, ms, p90", workers, &Contestant::read_ms, 0.9);
  print_row("peak resident memory, MiB", workers, &Contestant::peak_mb, 0.5);
  print_row("CPU time of a session, ms", workers, &Contestant::cpu_ms, 0.5);
}

Contestant parse(std::string_view argument) {
  Contestant worker;
  const auto equals = argument.find('=');
  if (equals == std::string_view::npos) throw std::runtime_error("expected NAME=PROGRAM[,ARGUMENT...]");
  worker.name = argument.substr(0, equals);
  for (auto rest = argument.substr(equals + 1);; rest.remove_prefix(rest.find(',') + 1)) {
    worker.command.emplace_back(rest.substr(0, rest.find(',')));
    if (rest.find(',') == std::string_view::npos) break;
  }
  return worker;
}

int run(int argc, char** argv) {
  if (argc < 4) throw std::runtime_error("usage: session_bench ROUNDS NAME=PROGRAM[,ARGUMENT...] NAME=...");
  const int rounds = std::stoi(argv[1]);
  std::vector<Contestant> workers;
  for (int i = 2; i < argc; ++i) workers.push_back(parse(argv[i]));
  for (int round = 0; round < rounds; ++round) {
    for (auto& worker : workers) play_round(worker);
  }
  print(workers);
  return 0;
}

}  // namespace
}  // namespace session_server

int main(int argc, char** argv) {
  try {
    return session_server::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "session_bench: {}\n", error.what());
    return 1;
  }
}
