#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

#include "tests/e2e/agent.hpp"
#include "tests/e2e/serving.hpp"
#include "tests/e2e/worker_run.hpp"
#include "tests/support/test_certificates.hpp"

using namespace session_server;
using sandbox_worker::tests::Identity;
using sandbox_worker::tests::TestCa;

TEST_CASE("isolation: commands have descriptors 0, 1 and 2 only, also beside open TLS connections") {
  const TestCa ca;
  const Identity identity = ca.issue({"DNS:localhost"});
  SessionServer::Options options;
  options.tls = TlsIdentity{.certificate_pem = identity.certificate_pem(), .key_pem = identity.key_pem()};
  SessionServer server({}, options);
  WorkerRun run(&server, {.arguments = {"--ca-file", ca.file()}});
  // A child: it has what any program would inherit.
  CHECK(bash(server, "sevt_1", "bash -c 'ls /proc/$$/fd; true' | xargs") == "0 1 2\n");
  CHECK(bash(server, "sevt_2",
             "bash -c 'ls -l /proc/$$/fd; true' | grep -c -e socket: -e memfd: -e anon_inode") ==
        "0\n[exit status 1]");
  // A second shell, started while the first one runs a command and results are posted.
  run_bash(server, "sevt_3", "until [ -e go ]; do sleep 0.01; done; ls /proc/self/fd | xargs");
  server.call({.id = "sevt_4",
               .name = "bash",
               .input = {{"command", "touch go; ls /proc/self/fd | xargs"}},
               .thread = "sthr_2"});
  CHECK(answer_to(server, "sevt_3") == "0 1 2 3\n");  // 3 is what ls reads
  CHECK(answer_to(server, "sevt_4") == "0 1 2 3\n");
  // The shell itself has its own pipes besides, and no connection of the worker's. Those of the pipeline may
  // close while ls looks at them, which it tells on stderr.
  CHECK(bash(server, "sevt_5", "ls -l /proc/$$/fd 2>/dev/null | grep -c -e socket: -e anon_inode") ==
        "0\n[exit status 1]");
  server.terminate();
  CHECK(run.wait_for_exit() == 0);
}

TEST_CASE("isolation: commands see no ANTHROPIC_* in any case and no SANDBOX_WORKER_* variable") {
  SessionServer server;
  WorkerRun run(&server, {.environment = {{"anthropic_session_id", "lower"},
                                          {"Anthropic_Api_Key", "mixed"},
                                          {"ANTHROPIC_AUTH_TOKEN", "sk-ant-never"},
                                          {"SANDBOX_WORKER_LOG_LEVEL", "debug"},
                                          {"sandbox_worker_anything", "lower"},
                                          {"MY_ANTHROPIC_NOTE", "stays"}}});
  CHECK(bash(server, "sevt_1", "env | grep -i -e '^anthropic_' -e '^sandbox_worker_'") == "[exit status 1]");
  CHECK(bash(server, "sevt_2", "compgen -v | grep -i -c -e '^anthropic_' -e '^sandbox_worker_'") ==
        "0\n[exit status 1]");
  CHECK(bash(server, "sevt_3", "echo $MY_ANTHROPIC_NOTE") == "stays\n");
  server.terminate();
  CHECK(run.wait_for_exit() == 0);
}
