#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>

#include "tests/e2e/agent.hpp"
#include "tests/e2e/serving.hpp"
#include "tests/e2e/worker_run.hpp"

using namespace session_server;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

/// 5 s are promised; the rest is for the test's own look at it.
constexpr auto kTeardown = 5500ms;

bool stopped(const SessionServer& server) {
  return server.inspect([](const Service& service) { return service.handled(RequestKind::stop) == 1; });
}

}  // namespace

TEST_CASE("signal: a running command is answered as interrupted, the item stopped, nothing is left") {
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    CAPTURE(number);
    SessionServer server;
    WorkerRun run(&server);
    run_bash(server, "sevt_1", "setsid sleep 601 & (sleep 602 &) ; echo before; touch began; sleep 603");
    REQUIRE(until_file(run, "began", 15s));
    CHECK(!processes_below(run.folder().workdir()).empty());
    const auto sent = steady_clock::now();
    run.process().signal(number);
    CHECK(run.wait_for_exit() == 0);
    CHECK(steady_clock::now() - sent < kTeardown);
    const std::string answer = answer_to(server, "sevt_1", 0ms);
    CHECK(answer.starts_with("before\n"));
    CHECK(answer.find("nterrupted") != std::string::npos);
    CHECK(stopped(server));
    CHECK(nothing_runs(run));
    CHECK(server.finish().empty());
    // The answer was seen in the session, so there is nothing to keep for a worker after this one.
    CHECK(run.log().find("the journal is left") == std::string::npos);
    const auto files =
        std::filesystem::directory_iterator(run.folder().environment().at("SANDBOX_WORKER_RUNTIME_DIR"));
    CHECK(std::ranges::none_of(files, [](const auto& entry) { return entry.is_directory(); }));
  }
}

TEST_CASE("signal: commands that ignore signals don't hold up the end") {
  SessionServer server;
  WorkerRun run(&server);
  run_bash(server, "sevt_1",
           "trap '' INT TERM HUP; (trap '' INT TERM; while :; do sleep 604; done) & "
           "touch began; while :; do sleep 605; done");
  REQUIRE(until_file(run, "began", 15s));
  const auto sent = steady_clock::now();
  run.process().signal(SIGTERM);
  CHECK(run.wait_for_exit() == 0);
  CHECK(steady_clock::now() - sent < kTeardown);
  CHECK(stopped(server));
  CHECK(nothing_runs(run));
}

TEST_CASE("signal: a second one ends the worker at once, and its commands with it") {
  for (const auto& [first, second] : {std::pair(SIGTERM, SIGTERM), std::pair(SIGTERM, SIGINT)}) {
    CAPTURE(second);
    SessionServer server;
    // The teardown waits for these answers, longest of all for that of the stop.
    server.add_fault({.on = RequestKind::post, .action = FaultAction::no_answer, .count = 100});
    server.add_fault({.on = RequestKind::stop, .action = FaultAction::no_answer, .count = 100});
    WorkerRun run(&server);
    run_bash(server, "sevt_1",
             "setsid sleep 606 & trap '' INT TERM; touch began; while :; do sleep 607; done");
    REQUIRE(until_file(run, "began", 15s));
    run.process().signal(first);
    // The cut command's result, after 300 ms: then the same signal is no longer taken for the first.
    REQUIRE(server.wait(5s, [](const Service& s) { return s.count(RequestKind::post) > 0; }));
    const auto sent = steady_clock::now();
    run.process().signal(second);
    CHECK(run.wait_for_exit() == 128 + second);
    CHECK(steady_clock::now() - sent < 2s);  // waiting for the two answers would take longer
    CHECK(run.log().find("second signal, ending at once") != std::string::npos);
    CHECK(!stopped(server));
    CHECK(nothing_runs(run));
  }
}

TEST_CASE("signal: under nohup the end of a terminal is nothing to the worker") {
  SessionServer server;
  WorkerRun run(&server, {.wrapper = {"nohup"}});
  CHECK(bash(server, "sevt_1", "echo before") == "before\n");
  run.process().signal(SIGHUP);
  CHECK(bash(server, "sevt_2", "echo after") == "after\n");
  run.process().signal(SIGTERM);
  CHECK(run.wait_for_exit() == 0);
  CHECK(run.log().find("number=1\n") == std::string::npos);
}
