#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/e2e/agent.hpp"
#include "tests/e2e/worker_run.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/test_certificates.hpp"

using namespace session_server;
using namespace std::chrono_literals;
using sandbox_worker::testing::TempDir;
using sandbox_worker::tests::Identity;
using sandbox_worker::tests::TestCa;

namespace {

SessionServer::Options with(const Identity& identity, bool ipv6 = false) {
  SessionServer::Options options;
  options.tls = TlsIdentity{.certificate_pem = identity.certificate_pem(), .key_pem = identity.key_pem()};
  options.ipv6 = ipv6;
  return options;
}

void serves_a_session(SessionServer& server, const WorkerRun::Options& options) {
  WorkerRun run(&server, options);
  CHECK(bash(server, "sevt_1", "echo over TLS") == "over TLS\n");
  server.terminate();
  CHECK(run.wait_for_exit() == 0);
  CHECK(server.finish().empty());
}

/// Runs a worker on a certificate that it must not accept, and gives its log.
std::string refused(const Identity& identity, const TestCa& trusted) {
  SessionServer server({}, with(identity));
  WorkerRun run(&server, {.environment = {{"SANDBOX_WORKER_CA_FILE", trusted.file()}},
                          .arguments = {"--max-run", "1s"}});
  CHECK(run.wait_for_exit() == 1);
  // Not one request was written: no header, so no key.
  CHECK(server.inspect([](const Service& service) { return service.requests().size(); }) == 0);
  CHECK(run.log().find("attached") == std::string::npos);
  CHECK(run.log().find("sk-ant") == std::string::npos);
  return run.log();
}

}  // namespace

TEST_CASE("tls: a session with an authority named by flag, file or hashed directory") {
  const TestCa ca;
  const Identity identity = ca.issue({"DNS:localhost"});
  SUBCASE("--ca-file") {
    SessionServer server({}, with(identity));
    serves_a_session(server, {.arguments = {"--ca-file", ca.file()}});
  }
  SUBCASE("SSL_CERT_FILE") {
    SessionServer server({}, with(identity));
    serves_a_session(server, {.environment = {{"SSL_CERT_FILE", ca.file()}}});
  }
  SUBCASE("SSL_CERT_DIR") {
    const TempDir directory;
    std::filesystem::copy_file(ca.file(), directory / ca.hash_name());
    SessionServer server({}, with(identity));
    serves_a_session(server, {.environment = {{"SSL_CERT_DIR", directory.path()}}});
  }
}

TEST_CASE("tls: an address of IPv6 is verified as one") {
  const TestCa ca;
  SessionServer server({}, with(ca.issue({"IP:::1"}), true));
  serves_a_session(server, {.arguments = {"--ca-file", ca.file()}});
}

TEST_CASE("ipv6: a base URL with an address in brackets") {
  SessionServer server({}, {.ipv6 = true});
  CHECK(server.base_url().starts_with("http://[::1]:"));
  serves_a_session(server, {});
}

TEST_CASE("tls: a wrong certificate is said, never accepted, and ends with 1 when the run's time is up") {
  const TestCa ca;
  const TestCa other;
  CHECK(refused(other.issue({"DNS:localhost"}), ca)
            .find("certificate is self-signed or its issuer is unknown") != std::string::npos);
  CHECK(refused(ca.issue({"DNS:api.test.example"}), ca)
            .find("certificate is for api.test.example, not for this host") != std::string::npos);
  CHECK(refused(ca.issue({"DNS:localhost"}, -10, -1), ca).find("certificate has expired") !=
        std::string::npos);
}
