#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "tests/e2e/agent.hpp"
#include "tests/e2e/serving.hpp"
#include "tests/e2e/worker_run.hpp"

using namespace session_server;
using namespace std::chrono_literals;

namespace {

std::string command_line(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// A session with what tends to be logged: a call, a failed heartbeat, a refused post, a broken stream.
void serve_with_trouble(SessionServer& server, WorkerRun& run) {
  CHECK(bash(server, "sevt_1", "echo hello") == "hello\n");
  server.add_fault({.on = RequestKind::post, .action = FaultAction::status, .status = 503});
  server.add_fault({.on = RequestKind::heartbeat, .action = FaultAction::status, .status = 500});
  server.add_fault({.on = RequestKind::stream, .action = FaultAction::invalid_json});
  server.cut_streams(Cut::reset);
  CHECK(bash(server, "sevt_2", "echo again") == "again\n");
  server.terminate();
  CHECK(run.wait_for_exit() == 0);
}

}  // namespace

TEST_CASE("secrets: a key on the command line is overwritten there and warned about") {
  for (const bool joined : {false, true}) {
    CAPTURE(joined);
    Settings settings;
    SessionServer server(settings);
    WorkerRun::Options options{.environment = {{"ANTHROPIC_ENVIRONMENT_KEY", ""}}};
    if (joined) {
      options.arguments = {"--environment-key=" + settings.key};
    } else {
      options.arguments = {"--environment-key", settings.key};
    }
    WorkerRun run(&server, options);
    // Before the exec, the line is this test's own.
    CHECK(poll(10s, [&] {
      const auto line = command_line(run.process().pid());
      return has(line, "--environment-key") && has(line, "****") && !has(line, settings.key);
    }));
    CHECK(bash(server, "sevt_1", "cat /proc/$PPID/cmdline | tr '\\0' ' ' | grep -c sk-ant") ==
          "0\n[exit status 1]");
    server.terminate();
    CHECK(run.wait_for_exit() == 0);
    CHECK(has(run.log(), "the key was given on the command line"));
    CHECK(!has(run.log(), settings.key));
  }
}

TEST_CASE("secrets: no log line holds the key, the token or the secret, whatever happens") {
  for (const Auth auth : {Auth::key, Auth::secret_and_key}) {
    for (const char* format : {"text", "json"}) {
      CAPTURE(format);
      Settings settings;
      settings.work.auth = auth;
      settings.work.ttl_seconds = 4;
      SessionServer server(settings);
      WorkerRun run(&server, {.environment = {{"ANTHROPIC_AUTH_TOKEN", "sk-ant-other"}},
                              .arguments = {"--log-level", "debug", "--log-format", format}});
      serve_with_trouble(server, run);
      const auto log = run.log();
      CAPTURE(log);
      CHECK(has(log, "heartbeat"));
      CHECK(!has(log, "sk-ant"));
      for (const auto& [name, value] : server.worker_environment()) {
        if (name == "ANTHROPIC_WORK_SECRET") CHECK(!has(log, value));
      }
    }
  }
}
