#include "tools/environment.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace sandbox_worker::tools;

namespace {

bool has(const Environment& environment, const std::string& entry) {
  return std::count(environment.begin(), environment.end(), entry) == 1;
}

}  // namespace

TEST_CASE("environment: credentials and our own settings are left out, in any case of letters") {
  const Environment own{
      "ANTHROPIC_API_KEY=x", "anthropic_auth_token=x", "Anthropic_X=x",         "SANDBOX_WORKER_MAX_IDLE=1s",
      "HOME=/root",          "HTTPS_PROXY=http://p",   "MY_ANTHROPIC_NOTE=kept"};
  const auto environment = command_environment(own, {});
  CHECK(environment.size() == 3 + 5);
  CHECK(has(environment, "HOME=/root"));
  CHECK(has(environment, "HTTPS_PROXY=http://p"));
  CHECK(has(environment, "MY_ANTHROPIC_NOTE=kept"));
}

TEST_CASE("environment: programs are kept from waiting for a person") {
  const auto environment = command_environment({"TERM=xterm", "PAGER=less"}, {});
  for (const char* entry :
       {"TERM=dumb", "PAGER=cat", "GIT_PAGER=cat", "GIT_TERMINAL_PROMPT=0", "DEBIAN_FRONTEND=noninteractive"})
    CHECK_MESSAGE(has(environment, entry), entry);
  CHECK(environment.size() == 5);
}

TEST_CASE("environment: a CA file is handed on, and further entries come last") {
  const auto environment =
      command_environment({"CURL_CA_BUNDLE=/old"}, {.ca_file = "/ca.pem", .extra = {"TERM=vt100", "A=b=c"}});
  for (const char* name :
       {"SSL_CERT_FILE", "GIT_SSL_CAINFO", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"})
    CHECK_MESSAGE(has(environment, std::string(name) + "=/ca.pem"), name);
  CHECK(has(environment, "TERM=vt100"));
  CHECK(has(environment, "A=b=c"));
  CHECK_FALSE(has(environment, "TERM=dumb"));
}
