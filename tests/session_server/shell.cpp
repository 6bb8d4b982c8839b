#include <fmt/format.h>
#include <unistd.h>

#include <iostream>

#include "tests/session_server/console.hpp"
#include "tests/session_server/play.hpp"
#include "tests/session_server/session_folder.hpp"
#include "tests/session_server/session_server.hpp"
#include "tests/session_server/shell_line.hpp"
#include "tests/session_server/worker_process.hpp"

namespace session_server {
namespace {

constexpr auto kAttach = std::chrono::seconds(20);
constexpr auto kAnswer = std::chrono::minutes(10);  // a person may type a long build
constexpr auto kEnd = std::chrono::seconds(15);

/// One line of the person's. False: the session is over.
bool obey(const std::string& line, std::size_t number, SessionServer& server, WorkerProcess& worker,
          Console& console) {
  if (line.empty()) return true;
  if (line == "exit" || line == "quit") return false;
  if (line == "help") {
    fmt::print("{}", kShellHelp);
    return true;
  }
  if (line == "cut" || line == "interrupt") {
    if (line == "cut") server.cut_streams();
    if (line == "interrupt") server.interrupt();
    return true;
  }
  auto call = parse_shell_line(line);
  if (!call) {
    fmt::print("{}\n", call.error());
    return true;
  }
  call->id = fmt::format("sevt_shell_{:04}", number);
  server.call(*call);
  bool answered = false;
  server.wait(kAnswer, [&](const Service& service) {
    answered = !service.session.find(call->id)->answers.empty();
    return answered || worker.exited();
  });
  if (worker.exited()) return false;
  if (!answered) {
    fmt::print("no answer\n");
    return true;
  }
  const Call done = server.inspect([&](const Service& service) { return *service.session.find(call->id); });
  console.result(done);
  return true;
}

}  // namespace

int run_shell(const std::vector<std::string>& command, const PlayOptions& options) {
  Console console(options.out);
  const SessionFolder folder(options.workdir);
  SessionServer server({}, {.port = options.port, .tls = {}});
  auto environment = folder.environment();
  for (auto& [name, value] : server.worker_environment()) environment[name] = value;
  environment["SANDBOX_WORKER_MAX_IDLE"] = "0";
  WorkerProcess worker({.command = command,
                        .environment = std::move(environment),
                        .workdir = folder.workdir(),
                        .log = options.verbose ? std::filesystem::path() : folder.log(),
                        .on_exit = [&server] { server.nudge(); }});
  bool attached = false;
  server.wait(kAttach, [&](const Service& service) {
    attached = service.streams_opened > 0;
    return attached || worker.exited();
  });
  if (attached) {
    console.running(fmt::format("{} in {} · \"help\" shows what can be typed", command.front(),
                                folder.workdir().string()));
    const bool person = isatty(STDIN_FILENO) != 0;
    std::string line;
    std::size_t number = 0;
    do {
      if (person) fmt::print("> ");
      std::fflush(stdout);
    } while (std::getline(std::cin, line) && obey(line, number++, server, worker, console));
    server.terminate();
  }
  server.wait(kEnd, [&](const Service&) { return worker.exited(); });
  const auto code = worker.exit_code();
  const auto violations = server.finish();
  for (auto& violation : violations) console.problem("against the contract: " + violation);
  if (!attached || !code || *code != 0) {
    console.problem(code ? fmt::format("the worker ended with {}", *code) : "the worker did not end");
    console.note(folder.log_text());
    return 1;
  }
  console.done("exit 0");
  return violations.empty() ? 0 : 1;
}

}  // namespace session_server
