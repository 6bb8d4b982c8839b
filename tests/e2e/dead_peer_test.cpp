#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <thread>

#include "tests/e2e/serving.hpp"
#include "tests/support/net_namespace.hpp"
#include "tests/support/relay.hpp"

using namespace session_server;
using namespace std::chrono_literals;
using sandbox_worker::tests::drop_established;
using sandbox_worker::tests::in_net_namespace;
using sandbox_worker::tests::Relay;
using sandbox_worker::tests::without_namespaces;
using std::chrono::milliseconds;

namespace {

/// Longer than what the worker takes for a busy machine (4 s). LONG_SLEEP=1: the 30 s of a lid that is closed
/// for a moment.
milliseconds stop_time() {
  const char* wish = std::getenv("LONG_SLEEP");
  return wish && std::string_view(wish) == "1" ? 30s : 7s;
}

Settings settings(int ttl_seconds) {
  Settings settings;
  settings.work.ttl_seconds = ttl_seconds;
  settings.stream.ping = 300ms;  // bytes that nobody acknowledges
  return settings;
}

/// The worker stands on a network that can go silent.
struct Stand {
  SessionServer& server;
  std::string base_url;
  std::function<std::size_t()> silence;  // all connections that are open; says how many
};

/// The worker with its stream open and its first call answered, so that it has idle connections as well.
std::unique_ptr<WorkerRun> attached(const Stand& stand, std::vector<std::string> arguments = {}) {
  WorkerRun::Options options;
  options.environment["ANTHROPIC_BASE_URL"] = stand.base_url;
  options.environment["SANDBOX_WORKER_MAX_IDLE"] = "300ms";
  options.arguments = std::move(arguments);
  auto run = std::make_unique<WorkerRun>(&stand.server, std::move(options));
  run_bash(stand.server, "sevt_first", "echo first");
  REQUIRE(stand.server.wait(20s, [](const Service& s) { return answered(s, "sevt_first"); }));
  return run;
}

void check_clean_end(SessionServer& server, WorkerRun& run) {
  server.idle();
  CHECK(run.wait_for_exit() == 0);
  CHECK(server.finish() == std::vector<std::string>());
  const auto log = run.log();
  CAPTURE(log);
  CHECK(log.find("this process was away") != std::string::npos);
}

/// A stop of the process while all its connections die without a word.
void survives_a_stop(const Stand& stand) {
  auto run = attached(stand);
  CHECK(stand.silence() >= 2);
  run->process().signal(SIGSTOP);
  run_bash(stand.server, "sevt_meanwhile", "echo meanwhile");
  std::this_thread::sleep_for(stop_time());  // the stop itself

  const auto beats = stand.server.inspect([](const Service& s) { return s.work.heartbeats().size(); });
  run->process().signal(SIGCONT);
  const bool back = stand.server.wait(2s, [&](const Service& s) {
    return s.work.heartbeats().size() > beats && s.streams_opened == 2 && answered(s, "sevt_meanwhile");
  });
  CHECK(back);
  check_clean_end(stand.server, *run);
}

/// The same, and another worker has taken the lease meanwhile.
void ends_when_the_lease_was_taken(const Stand& stand) {
  auto run = attached(stand);
  run_bash(stand.server, "sevt_long", "sleep 600");
  CHECK(stand.silence() >= 2);
  run->process().signal(SIGSTOP);
  std::this_thread::sleep_for(stop_time());
  stand.server.give_lease_to_another();
  run->process().signal(SIGCONT);
  CHECK(run->wait_for_exit(7s) == 3);
  CHECK(stand.server.finish() == std::vector<std::string>());
  stand.server.inspect([](const Service& s) {
    CHECK_FALSE(s.work.stopped_by_worker());
    CHECK_FALSE(answered(s, "sevt_long"));
  });
}

/// Nobody was away; the connections alone are dead.
void survives_silent_connections(const Stand& stand) {
  auto run = attached(stand, {"--stream-silence", "1s"});
  CHECK(stand.silence() >= 2);
  const auto beats = stand.server.inspect([](const Service& s) { return s.work.heartbeats().size(); });
  run_bash(stand.server, "sevt_meanwhile", "echo meanwhile");
  const bool back = stand.server.wait(
      4s, [&](const Service& s) { return s.streams_opened == 2 && answered(s, "sevt_meanwhile"); });
  CHECK(back);
  // Two more beats: the lease has outlived the connection on which a beat was due.
  const bool beating =
      stand.server.wait(15s, [&](const Service& s) { return s.work.heartbeats().size() >= beats + 2; });
  CHECK(beating);
  stand.server.idle();
  CHECK(run->wait_for_exit() == 0);
  CHECK(stand.server.finish() == std::vector<std::string>());
}

void behind_relay(int ttl_seconds, const std::function<void(const Stand&)>& test) {
  SessionServer server(settings(ttl_seconds));
  Relay relay(server.port());
  test({server, "http://127.0.0.1:" + std::to_string(relay.port()), [&] { return relay.silence_open(); }});
}

void behind_packet_filter(int ttl_seconds, const std::function<void(const Stand&)>& test) {
  if (without_namespaces()) {
    MESSAGE("left out, as SANDBOX_TESTS_WITHOUT_NAMESPACES says");
    return;
  }
  in_net_namespace([&] {
    SessionServer server(settings(ttl_seconds));
    test({server, server.base_url(), [&] { return drop_established(server.port()); }});
  });
}

}  // namespace

TEST_CASE("dead peers: after a stop with all connections silent, heartbeat and stream are back within 2 s") {
  behind_relay(120, survives_a_stop);
}

TEST_CASE("dead peers: the same with every packet of the connections dropped by a filter") {
  behind_packet_filter(120, survives_a_stop);
}

TEST_CASE(
    "dead peers: a lease that was taken during the stop ends the run with 3 and leaves the item alone") {
  behind_relay(120, ends_when_the_lease_was_taken);
}

TEST_CASE("dead peers: the same behind a filter") {
  behind_packet_filter(120, ends_when_the_lease_was_taken);
}

TEST_CASE("dead peers: a lease that expired during the stop ends the run with 3") {
  behind_relay(4, [](const Stand& stand) {
    auto run = attached(stand);
    stand.silence();
    run->process().signal(SIGSTOP);
    std::this_thread::sleep_for(stop_time());
    run->process().signal(SIGCONT);
    CHECK(run->wait_for_exit(7s) == 3);
    CHECK(stand.server.inspect([](const Service& s) { return s.work.stopped_by_worker(); }) == false);
  });
}

TEST_CASE("dead peers: connections that go silent one day cost neither the stream nor the lease") {
  behind_relay(8, survives_silent_connections);
}

TEST_CASE("dead peers: the same behind a filter") {
  behind_packet_filter(8, survives_silent_connections);
}
