#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/e2e/in_parallel.hpp"
#include "tests/e2e/serving.hpp"
#include "tests/support/dead_file_system.hpp"
#include "tests/support/left_out.hpp"
#include "tests/support/mount_namespace.hpp"
#include "tests/support/net_namespace.hpp"
#include "tests/support/relay.hpp"

using namespace session_server;
using namespace std::chrono_literals;
using sandbox_worker::testing::DeadFileSystem;
using sandbox_worker::testing::in_mount_namespace;
using sandbox_worker::testing::leave_out;
using sandbox_worker::tests::in_net_namespace;
using sandbox_worker::tests::Relay;
using sandbox_worker::tests::without_namespaces;
using std::chrono::milliseconds;

namespace {

/// What the teardown may take, and a second for the machine that the tests share.
constexpr milliseconds kTeardown = 5s + 1s;
/// Until the next heartbeat brings the news, with a ttl of 2 s.
constexpr milliseconds kNextBeat = 1200ms;

enum class Ending { interrupt, terminate_signal, session_over, asked_to_stop, lease_taken };

struct Hang {
  RequestKind on;      // the requests of this kind that hang, all of them
  FaultAction action;  // no_answer, or drip: one byte every 200 ms
  Ending ending;
};

std::string name_of(const Hang& hang) {
  const char* endings[] = {"SIGINT", "SIGTERM", "the session's end", "a stop", "a lost lease"};
  return fmt::format("{} {} × {}", session_server::name_of(hang.on),
                     hang.action == FaultAction::drip ? "drips" : "has no answer",
                     endings[static_cast<int>(hang.ending)]);
}

void bring_about(Ending ending, SessionServer& server, WorkerRun& run) {
  switch (ending) {
    case Ending::interrupt:
      return run.process().signal(SIGINT);
    case Ending::terminate_signal:
      return run.process().signal(SIGTERM);
    case Ending::session_over:
      return server.terminate();
    case Ending::asked_to_stop:
      return server.ask_to_stop();
    case Ending::lease_taken:
      return server.give_lease_to_another();
  }
}

/// As architecture.md#end says; an item that could not be stopped is a failure.
int expected_exit(const Hang& hang) {
  if (hang.ending == Ending::lease_taken) return 3;
  return hang.on == RequestKind::stop ? 1 : 0;
}

std::string ends_in_time(const Hang& hang) {
  Settings settings;
  settings.work.ttl_seconds = 2;
  SessionServer server(settings);
  server.add_fault({.on = hang.on, .action = hang.action, .gap = 200ms, .count = 1000});
  const bool serves = hang.on != RequestKind::session && hang.on != RequestKind::stream;
  const bool runs = serves && hang.on != RequestKind::history;
  if (runs) {
    run_bash(server, "sevt_deaf", "touch began; bash -c 'trap \"\" INT TERM; sleep 600'", "sthr_1");
    run_bash(server, "sevt_done", "echo done", "sthr_2");
  }
  WorkerRun run(&server);
  const auto reached = [&](const Service& s) {
    return hang.on == RequestKind::stop ? answered(s, "sevt_done") : s.count(hang.on) > 0;
  };
  if (!server.wait(20s, reached)) return name_of(hang) + ": never got there";
  if (runs && !until_file(run, "began")) return name_of(hang) + ": no call began";

  bring_about(hang.ending, server, run);
  const auto began = std::chrono::steady_clock::now();
  const bool by_beat = hang.ending == Ending::asked_to_stop || hang.ending == Ending::lease_taken;
  const auto status = run.wait_for_exit(kTeardown + (by_beat ? kNextBeat : 0ms));
  const auto took = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - began);
  const int expected = expected_exit(hang);
  if (!status) return fmt::format("{}: still there after {} ms\n{}", name_of(hang), took.count(), run.log());
  if (*status != expected) {
    return fmt::format("{}: exit {}, expected {}\n{}", name_of(hang), *status, expected, run.log());
  }
  if (!processes_below(run.folder().workdir()).empty()) return name_of(hang) + ": left processes";
  return {};
}

std::vector<Hang> all_hangs() {
  std::vector<Hang> hangs;
  for (const auto on : {RequestKind::session, RequestKind::stream, RequestKind::history, RequestKind::post,
                        RequestKind::stop}) {
    for (const auto action : {FaultAction::no_answer, FaultAction::drip}) {
      if (on == RequestKind::stream && action == FaultAction::drip) continue;  // a stream may drip
      for (const auto ending : {Ending::interrupt, Ending::terminate_signal, Ending::session_over,
                                Ending::asked_to_stop, Ending::lease_taken}) {
        // Without a stream, nobody says that the session is over.
        const bool deaf = on == RequestKind::session || on == RequestKind::stream;
        if (deaf && ending == Ending::session_over) continue;
        // An item of another worker is not stopped.
        if (on == RequestKind::stop && ending == Ending::lease_taken) continue;
        hangs.push_back({on, action, ending});
      }
    }
  }
  return hangs;
}

/// A worker that can't even connect: a signal must end it, with 1 as the item was not stopped.
void check_signal_ends(WorkerRun& run, const std::string& in_log = {}) {
  CHECK(poll(10s, [&] { return run.log().find("starting") != std::string::npos; }));
  if (!in_log.empty()) CHECK(poll(10s, [&] { return run.log().find(in_log) != std::string::npos; }));
  const auto began = std::chrono::steady_clock::now();
  run.process().signal(SIGINT);
  CHECK(run.wait_for_exit(kTeardown) == 1);
  CHECK(std::chrono::steady_clock::now() - began < kTeardown);
}

}  // namespace

TEST_CASE("teardown: whatever request hangs, each kind of end ends it in time") {
  const auto failures = failures_in_parallel(all_hangs(), 6, ends_in_time);
  for (const auto& failure : failures) FAIL_CHECK(failure);
}

TEST_CASE("teardown: a worker that waits for a TLS handshake obeys a signal") {
  Relay relay(1);
  relay.silence_new();
  SessionServer server;
  WorkerRun::Options options;
  options.environment["ANTHROPIC_BASE_URL"] = fmt::format("https://localhost:{}", relay.port());
  WorkerRun run(&server, std::move(options));
  CHECK(poll(10s, [&] { return relay.connections() > 0; }));
  check_signal_ends(run);
}

TEST_CASE("teardown: a worker that waits for a connection, or for a name, obeys a signal") {
  if (without_namespaces()) {
    MESSAGE("left out, as SANDBOX_TESTS_WITHOUT_NAMESPACES says");
    return;
  }
  for (const auto& url : {fmt::format("http://{}:8080", sandbox_worker::tests::kSilentAddress),
                          std::string("http://service.test.example")}) {
    CAPTURE(url);
    in_net_namespace([&] {
      SessionServer server;
      WorkerRun::Options options;
      options.environment["ANTHROPIC_BASE_URL"] = url;
      WorkerRun run(&server, std::move(options));
      check_signal_ends(run);
    });
  }
}

TEST_CASE("teardown: a termination that is only in the history is noticed after a reconnect") {
  for (const bool deleted : {false, true}) {
    SessionServer server;
    run_bash(server, "sevt_long", "touch began; sleep 600");
    WorkerRun run(&server);
    CHECK(until_file(run, "began"));
    CHECK(server.cut_streams() == 1);
    server.terminate(deleted);
    CHECK(run.wait_for_exit(kTeardown + 2s) == 0);
    CHECK(server.finish() == std::vector<std::string>());
    server.inspect([](const Service& s) {
      CHECK(s.streams_opened == 2);
      CHECK_FALSE(answered(s, "sevt_long"));
      CHECK(s.work.stopped_by_worker());
    });
  }
}

TEST_CASE("teardown: a second signal cuts it") {
  SessionServer server;
  server.add_fault({.on = RequestKind::stop, .action = FaultAction::no_answer, .count = 10});
  run_bash(server, "sevt_long", "touch began; sleep 600");
  WorkerRun run(&server);
  CHECK(until_file(run, "began"));
  run.process().signal(SIGTERM);
  CHECK(server.wait(10s, [](const Service& s) { return s.count(RequestKind::stop) > 0; }));
  run.process().signal(SIGINT);
  CHECK(run.wait_for_exit(is_sanitized() ? 10s : 1s) == 130);  // ThreadSanitizer sleeps a second at each exit
  CHECK(processes_below(run.folder().workdir()).empty());
}

TEST_CASE("teardown: a signal while a repository is copied leaves no part of the copy") {
  SessionFolder source(std::nullopt);
  for (int i = 0; i < 50; ++i) {
    const auto folder = source.workdir() / "repository" / std::to_string(i);
    std::filesystem::create_directories(folder);
    for (int j = 0; j < 100; ++j) std::ofstream(folder / std::to_string(j)) << j;
  }
  SessionServer server;
  WorkerRun::Options options;
  options.arguments = {"--repo-image-path", (source.workdir() / "repository").string()};
  WorkerRun run(&server, std::move(options));
  const auto workdir = run.folder().workdir();
  // The copy has a name of its own until it is whole.
  CHECK(poll(20s, [&] { return !std::filesystem::is_empty(workdir); }));
  run.process().signal(SIGTERM);
  CHECK(run.wait_for_exit(kTeardown) == 0);
  const bool whole = std::filesystem::exists(workdir / "repository");
  CHECK((whole || std::filesystem::is_empty(workdir)));
  CHECK(std::filesystem::is_empty(run.folder().runtime_dir()));
}

TEST_CASE("teardown: a search that hangs on a file system that has died holds up no end") {
  bool tried = false;
  in_mount_namespace([&] {
    DeadFileSystem files(60s);
    if (!files) return;
    tried = true;
    SessionServer server;
    WorkerRun::Options options;
    options.arguments = {"--allow-root", files.path()};
    // A thread that can't be joined is what this is about.
    const char* said = std::getenv("TSAN_OPTIONS");
    options.environment["TSAN_OPTIONS"] = fmt::format("{}:report_thread_leaks=0", said ? said : "");
    WorkerRun run(&server, options);
    run_bash(server, "sevt_first", "echo ready");
    REQUIRE(server.wait(20s, [](const Service& s) { return answered(s, "sevt_first"); }));
    files.die();
    make_call(server, "sevt_hangs", "grep", {{"pattern", "x"}, {"path", files.path()}});
    REQUIRE(poll(20s, [&] { return files.hangs_somebody(); }));
    run.process().signal(SIGTERM);
    CHECK_MESSAGE(run.wait_for_exit(kTeardown) == 0, run.log());
    CHECK_FALSE(files.lost_patience());
  });
  if (!tried) leave_out("FUSE");
}
