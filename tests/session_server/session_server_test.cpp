#include "tests/session_server/session_server.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/session_server/play.hpp"

using namespace session_server;
using namespace std::chrono_literals;

namespace {

/// A connection that sends what it is told and reads until a text has come or the server closes.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval limit{.tv_sec = 10, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() { close(fd_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }
  void get(const std::string& target) const {
    const std::string text = fmt::format(
        "GET {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-ant-oat01-test-environment-key\r\n"
        "anthropic-version: 2023-06-01\r\nanthropic-beta: managed-agents-2026-04-01\r\nuser-agent: t\r\n"
        "accept: text/event-stream\r\n\r\n",
        target);
    CHECK(send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
  }
  std::string read_until(const std::string& mark) {
    std::string text;
    char buffer[4096];
    while (mark.empty() || text.find(mark) == std::string::npos) {
      const ssize_t size = recv(fd_, buffer, sizeof buffer, 0);
      if (size <= 0) break;
      text.append(buffer, static_cast<std::size_t>(size));
    }
    return text;
  }

 private:
  int fd_;
  bool connected_ = false;
};

const std::string kSession = "/v1/sessions/sesn_01TestSession";

}  // namespace

TEST_CASE("server: a stream has what happens after it opened, in order, whoever made it happen") {
  SessionServer server;
  server.append({{"type", "before"}});
  RawClient client(server.port());
  client.get(kSession + "/events/stream");
  REQUIRE(server.wait(10s, [](const Service& service) { return service.streams_open == 1; }));
  for (int i = 0; i < 50; ++i) server.append({{"type", fmt::format("number-{}-", i)}});
  server.append({{"type", "last"}});
  const std::string text = client.read_until("last");
  CHECK(text.find("before") == std::string::npos);
  std::size_t at = 0;
  for (int i = 0; i < 50; ++i) {
    at = text.find(fmt::format("number-{}-", i), at);
    REQUIRE(at != std::string::npos);
  }
}

TEST_CASE("server: a cut stream ends, and hears no more") {
  SessionServer server;
  RawClient client(server.port());
  client.get(kSession + "/events/stream");
  REQUIRE(server.wait(10s, [](const Service& service) { return service.streams_open == 1; }));
  CHECK(server.cut_streams() == 1);
  server.append({{"type", "afterwards"}});
  const std::string text = client.read_until("");
  CHECK(text.ends_with("0\r\n\r\n"));
  CHECK(text.find("afterwards") == std::string::npos);
}

TEST_CASE("server: faults shape the bytes") {
  SessionServer server;
  const auto get = [&](Fault fault) {
    fault.on = RequestKind::session;
    server.clear_faults();
    server.add_fault(fault);
    RawClient client(server.port());
    client.get(kSession);
    return client.read_until("");
  };
  CHECK(get({.action = FaultAction::close}) == "");
  CHECK(get({.action = FaultAction::reset}) == "");
  CHECK(get({.action = FaultAction::close_header}).find("\r\n\r\n") == std::string::npos);
  const std::string half = get({.action = FaultAction::half_body});
  CHECK(half.find("\r\n\r\n") != std::string::npos);
  CHECK(half.find("\"type\":\"session\"") == std::string::npos);
  Fault teapot{.action = FaultAction::status, .status = 503, .headers = {{"retry-after", "7"}}};
  RawClient client(server.port());
  server.clear_faults();
  server.add_fault(teapot);
  client.get(kSession);
  CHECK(client.read_until("\"type\":\"error\"").find("retry-after: 7\r\n") != std::string::npos);
  client.get(kSession);
  CHECK(client.read_until("\"type\":\"session\"").find("HTTP/1.1 200 OK") == 0);
}

TEST_CASE("server: when it does not listen, connections are refused") {
  SessionServer server;
  server.listen(false);
  CHECK(!RawClient(server.port()).connected());
  server.listen(true);
  CHECK(RawClient(server.port()).connected());
}

TEST_CASE("server: what a killed worker sent last is handled before its successor is heard") {
  SessionServer server;
  for (std::size_t kills = 1; kills <= 100; ++kills) {
    {
      RawClient(server.port()).get(kSession + "?beta=true");
    }
    server.worker_killed();
    REQUIRE(server.inspect([](const Service& service) { return service.requests().size(); }) == kills);
  }
}

TEST_CASE("play: a worker that does nothing fails, and is told apart from one that ends wrongly") {
  const Script script =
      Script::parse({{"steps", Json::array()}, {"wait_limit_ms", 200}, {"end", {{"within_ms", 200}}}}, "x");
  const PlayResult idle = play(script, {"/bin/sleep", "60"}, {.out = nullptr});
  CHECK(!idle.ok());
  CHECK(!idle.exit_code);
  const PlayResult wrong = play(script, {"/bin/sh", "-c", "echo why >&2; exit 7"}, {.out = nullptr});
  CHECK(!wrong.ok());
  CHECK(wrong.exit_code == 7);
  CHECK(wrong.log == "why\n");
}

TEST_CASE("play: what a worker leaves running is found and ended") {
  const Script script = Script::parse({{"steps", Json::array()},
                                       {"worker", {{"attach", false}}},
                                       {"end", {{"by", "none"}, {"stopped", nullptr}}}},
                                      "x");
  const PlayResult result = play(script, {"/bin/sh", "-c", "sleep 60 & exit 0"}, {.out = nullptr});
  REQUIRE(result.failures.size() == 1);
  CHECK(result.failures[0].find("left behind") != std::string::npos);
}
