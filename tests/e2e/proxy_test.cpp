#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

#include "tests/e2e/agent.hpp"
#include "tests/e2e/connect_proxy.hpp"
#include "tests/e2e/worker_run.hpp"
#include "tests/support/loopback_server.hpp"
#include "tests/support/test_certificates.hpp"

using namespace session_server;
using sandbox_worker::tests::Identity;
using sandbox_worker::tests::TestCa;

namespace {

// Only the proxy's own address is looked up here, so that the name need not exist.
constexpr const char* kBaseUrl = "https://api.test.example";

SessionServer::Options as_api(const TestCa& ca) {
  const Identity identity = ca.issue({"DNS:api.test.example"});
  SessionServer::Options options;
  options.tls = TlsIdentity{.certificate_pem = identity.certificate_pem(), .key_pem = identity.key_pem()};
  return options;
}

std::string log_with_proxy(const std::string& proxy) {
  SessionServer server;  // for the ids; nothing leads there
  WorkerRun run(&server, {.environment = {{"ANTHROPIC_BASE_URL", kBaseUrl}, {"HTTPS_PROXY", proxy}},
                          .arguments = {"--max-run", "1s"}});
  CHECK(run.wait_for_exit() == 1);
  const std::string log = run.log();
  CHECK(log.find("attached") == std::string::npos);
  CHECK(log.find("sk-ant") == std::string::npos);
  CHECK(log.find("hush") == std::string::npos);
  return log;
}

}  // namespace

TEST_CASE("proxy: a whole session through CONNECT with basic auth, the key inside of TLS only") {
  const TestCa ca;
  for (const char* variable : {"HTTPS_PROXY", "https_proxy"}) {
    CAPTURE(variable);
    SessionServer server({}, as_api(ca));
    const ConnectProxy proxy(server.port());
    std::map<std::string, std::string> environment = {
        {"ANTHROPIC_BASE_URL", kBaseUrl}, {"SANDBOX_WORKER_CA_FILE", ca.file()}, {"HTTPS_PROXY", ""}};
    environment[variable] = fmt::format("http://user:hush@127.0.0.1:{}", proxy.port());
    WorkerRun run(&server, {.environment = environment});
    CHECK(bash(server, "sevt_1", "echo through the proxy") == "through the proxy\n");
    server.terminate();
    CHECK(run.wait_for_exit() == 0);
    CHECK(server.finish().empty());
    CHECK(run.log().find("hush") == std::string::npos);
    CHECK(proxy.tunnels() > 0);
    const std::string heard = proxy.heard();
    CHECK(heard.starts_with("CONNECT api.test.example:443 HTTP/1.1\r\n"));
    CHECK(heard.find("Proxy-Authorization: Basic dXNlcjpodXNo\r\n") != std::string::npos);
    CHECK(heard.find("sk-ant") == std::string::npos);
  }
}

TEST_CASE("proxy: one that says no, or isn't there, is named without its password") {
  for (const char* refusal : {"403 Forbidden", "407 Proxy Authentication Required"}) {
    const ConnectProxy proxy(1, refusal);
    const auto log = log_with_proxy(fmt::format("http://user:hush@127.0.0.1:{}", proxy.port()));
    CAPTURE(log);
    const std::string message = fmt::format(
        "proxy http://127.0.0.1:{} refused CONNECT to api.test.example:443: {}", proxy.port(), refusal);
    CHECK(log.find(message) != std::string::npos);
    CHECK(proxy.heard().find("sk-ant") == std::string::npos);
    CHECK(proxy.heard().find("hush") == std::string::npos);
  }
  const auto port = sandbox_worker::tests::unused_port();
  const auto log = log_with_proxy(fmt::format("http://user:hush@127.0.0.1:{}", port));
  CAPTURE(log);
  CHECK(log.find(fmt::format("proxy http://127.0.0.1:{}: connection refused", port)) != std::string::npos);
}

TEST_CASE("proxy: loopback never goes through one") {
  SessionServer server;
  const ConnectProxy proxy(1, "403 Forbidden");
  const auto url = fmt::format("http://127.0.0.1:{}", proxy.port());
  WorkerRun run(&server, {.environment = {{"HTTP_PROXY", url}, {"HTTPS_PROXY", url}}});
  CHECK(bash(server, "sevt_1", "echo direct") == "direct\n");
  server.terminate();
  CHECK(run.wait_for_exit() == 0);
  CHECK(proxy.heard().empty());
}
