#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>

#include "tests/e2e/worker_run.hpp"

using namespace session_server;

namespace {

struct Case {
  std::map<std::string, std::string> environment;
  std::vector<std::string> arguments;
  std::string variable;  // that the one line on stderr must name
  std::string flag;      // that it must name too
};

}  // namespace

TEST_CASE("usage: what is missing or malformed is one line that names it, exit 2, and no request") {
  const std::vector<Case> cases = {
      {{{"ANTHROPIC_SESSION_ID", ""}}, {}, "ANTHROPIC_SESSION_ID", "--session-id"},
      {{{"ANTHROPIC_WORK_ID", ""}}, {}, "ANTHROPIC_WORK_ID", "--work-id"},
      {{{"ANTHROPIC_ENVIRONMENT_ID", ""}}, {}, "ANTHROPIC_ENVIRONMENT_ID", "--environment-id"},
      {{{"ANTHROPIC_ENVIRONMENT_KEY", ""}}, {}, "ANTHROPIC_ENVIRONMENT_KEY", "--environment-key"},
      {{{"ANTHROPIC_BASE_URL", "ftp://example"}}, {}, "ANTHROPIC_BASE_URL", "--base-url"},
      {{{"SANDBOX_WORKER_MAX_IDLE", "soon"}}, {}, "SANDBOX_WORKER_MAX_IDLE", "--max-idle"},
      {{}, {"--max-run", "-1s"}, "SANDBOX_WORKER_MAX_RUN", "--max-run"},
      {{{"SANDBOX_WORKER_SHELL_SCOPE", "lane"}}, {}, "SANDBOX_WORKER_SHELL_SCOPE", "--shell-scope"},
      {{{"SANDBOX_WORKER_LOG_LEVEL", "loud"}}, {}, "SANDBOX_WORKER_LOG_LEVEL", "--log-level"},
      {{{"ANTHROPIC_BASE_URL", "http://127.0.0.1:8080abc"}}, {}, "ANTHROPIC_BASE_URL", "--base-url"},
      {{{"ANTHROPIC_BASE_URL", "http://h.example"}, {"http_proxy", "h:port"}}, {}, "http_proxy", ""},
      {{}, {"--ca-file", "/nope-x"}, "SANDBOX_WORKER_CA_FILE", "--ca-file"},
      {{{"ANTHROPIC_BASE_URL", "https://h.example"}, {"SSL_CERT_FILE", ""}, {"SSL_CERT_DIR", "/nope-x"}},
       {},
       "SSL_CERT_DIR",
       ""},
      {{}, {"--spill-dir", "/proc/foo"}, "SANDBOX_WORKER_SPILL_DIR", "--spill-dir"},
      {{{"SANDBOX_WORKER_SPILL_DIR", "/dev/null"}}, {}, "SANDBOX_WORKER_SPILL_DIR", "--spill-dir"},
      {{{"SANDBOX_WORKER_ALLOW_ROOT", "/nope-x"}}, {}, "SANDBOX_WORKER_ALLOW_ROOT", "--allow-root"},
      {{{"SANDBOX_WORKER_WORKDIR", ""}, {"ANTHROPIC_WORKDIR", ""}, {"WORKSPACE_DIR", "/proc/foo"}},
       {},
       "WORKSPACE_DIR",
       ""},
      {{{"ANTHROPIC_WORK_ID", "sk-ant-oat01-swapped"}}, {}, "ANTHROPIC_WORK_ID", "--work-id"},
      {{{"ANTHROPIC_SESSION_ID", "sk-ant-swapped+/x"}}, {}, "ANTHROPIC_SESSION_ID", "--session-id"},
  };
  for (const auto& row : cases) {
    CAPTURE(row.variable);
    SessionServer server;
    const auto began = std::chrono::steady_clock::now();
    WorkerRun run(&server, {.environment = row.environment, .arguments = row.arguments});
    CHECK(run.wait_for_exit() == 2);
    // 50 ms are promised; the rest is for a busy machine and its sanitizers.
    CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(2));
    const auto log = run.log();
    CAPTURE(log);
    CHECK(std::ranges::count(log, '\n') == 1);
    CHECK(log.find(row.variable) != std::string::npos);
    CHECK(log.find(row.flag) != std::string::npos);
    CHECK(log.find("sk-ant") == std::string::npos);
    CHECK(server.inspect([](const Service& service) { return service.requests().size(); }) == 0);
  }
}
