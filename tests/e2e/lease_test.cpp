#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>

#include "tests/e2e/serving.hpp"
#include "tests/e2e/worker_place.hpp"

using namespace session_server;
using namespace std::chrono_literals;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

namespace {

Settings with_ttl(int seconds) {
  Settings settings;
  settings.work.ttl_seconds = seconds;
  return settings;
}

std::size_t beats(SessionServer& server) {
  return server.inspect([](const Service& s) { return s.work.heartbeats().size(); });
}

/// The times between heartbeats as the server saw them, from the `first`-th on.
std::vector<milliseconds> intervals(SessionServer& server, std::size_t first) {
  const auto at = server.inspect([](const Service& s) { return s.work.heartbeats(); });
  std::vector<milliseconds> result;
  for (std::size_t i = first + 1; i < at.size(); ++i)
    result.push_back(duration_cast<milliseconds>(at[i] - at[i - 1]));
  return result;
}

/// Each of the next `count` heartbeats comes in its time: 10 % early or late at most, but for sanitizers'
/// workers. Other tests keep the machine busy, so intervals should be seconds.
void check_next_intervals(SessionServer& server, std::size_t count, milliseconds interval,
                          const std::function<void()>& meanwhile = {}) {
  const std::size_t first = beats(server);
  const auto enough = [&](const Service& s) { return s.work.heartbeats().size() > first + count; };
  const auto limit = interval * static_cast<int>(count + 2) + 5s;
  if (meanwhile) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!server.inspect(enough) && std::chrono::steady_clock::now() < end) meanwhile();
  } else {
    server.wait(limit, enough);
  }
  const milliseconds slack = interval / (is_sanitized() ? 2 : 10);
  const auto seen = intervals(server, first);
  CHECK(seen.size() >= count);
  for (const auto each : seen) {
    CAPTURE(each.count());
    CHECK(each >= interval - slack);
    CHECK(each <= interval + slack);
  }
}

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::unique_ptr<WorkerRun> start(SessionServer& server, std::vector<std::string> arguments = {}) {
  WorkerRun::Options options;
  options.environment["SANDBOX_WORKER_MAX_IDLE"] = "300ms";
  options.arguments = std::move(arguments);
  return std::make_unique<WorkerRun>(&server, std::move(options));
}

void check_clean_end(SessionServer& server, WorkerRun& run) {
  run.process().signal(SIGTERM);
  CHECK(run.wait_for_exit() == 0);
  CHECK(server.finish() == std::vector<std::string>());
}

}  // namespace

TEST_CASE("lease: the heartbeat keeps its interval while tools saturate the processors") {
  SessionServer server(with_ttl(8));
  auto run = start(server);
  for (int i = 0; i < 6; ++i) {
    const auto name = std::to_string(i);
    make_call(server, "sevt_busy" + name, "bash",
              {{"command", "touch busy" + name + "; while :; do :; done"}, {"timeout_ms", 600'000}},
              "sthr_" + name);
  }
  for (int i = 0; i < 6; ++i) CHECK(until_file(*run, "busy" + std::to_string(i)));
  check_next_intervals(server, 4, 4s);
  check_clean_end(server, *run);
}

TEST_CASE("lease: the heartbeat keeps its interval while grep reads a gigabyte, again and again") {
  SessionServer server(with_ttl(8));
  auto run = start(server);
  {
    std::ofstream file(run->folder().workdir() / "large.txt");
    std::string block;
    for (unsigned i = 0; block.size() < 1024 * 1024; ++i) {
      block +=
          "line " + std::to_string(i * 2654435761U) + " of a log that has much to say and little to tell\n";
    }
    for (int i = 0; i < 1024; ++i) file << block;
  }
  // Three at once: always one more than there are processors on a small machine.
  std::size_t next = 0;
  std::vector<std::string> open(3);
  const auto keep_searching = [&] {
    for (std::size_t i = 0; i < open.size(); ++i) {
      const bool done =
          open[i].empty() || server.inspect([&](const Service& s) { return answered(s, open[i]); });
      if (!done) continue;
      open[i] = "sevt_grep" + std::to_string(next++);
      make_call(server, open[i], "grep", {{"pattern", "[a-z]+ [0-9]+3 of a (lag|leg) .*(x|y|z)q"}},
                "sthr_" + std::to_string(i));
    }
    server.wait(200ms, [&](const Service& s) {
      return std::ranges::any_of(open, [&](const auto& id) { return answered(s, id); });
    });
  };
  check_next_intervals(server, 4, 4s, keep_searching);
  CHECK(next > 3);
  check_clean_end(server, *run);
}

TEST_CASE("lease: heartbeats go on while the session, and then its history, don't answer") {
  SessionServer server(with_ttl(6));
  server.add_fault({.on = RequestKind::session, .action = FaultAction::no_answer});
  server.add_fault({.on = RequestKind::history, .action = FaultAction::no_answer});
  auto run = start(server, {"--response-timeout", "14s"});
  CHECK(server.wait(10s, [](const Service& s) { return s.count(RequestKind::session) == 1; }));
  check_next_intervals(server, 2, 3s);
  CHECK(server.inspect([](const Service& s) { return s.streams_opened; }) == 0);
  CHECK(server.wait(20s, [](const Service& s) { return s.count(RequestKind::history) == 1; }));
  check_next_intervals(server, 2, 3s);
  check_clean_end(server, *run);
}

TEST_CASE("lease: heartbeats go on while a repository is copied, and no call begins before it is there") {
  SessionServer server(with_ttl(2));
  // Many names of one file are made fast, and are copied as slowly as as many files.
  SessionFolder source(std::nullopt);
  const auto first = source.workdir() / "file";
  std::ofstream(first) << "content";
  for (int i = 0; i < 100; ++i) {
    const auto folder = source.workdir() / "repository" / std::to_string(i);
    std::filesystem::create_directories(folder);
    for (int j = 0; j < 600; ++j) std::filesystem::create_hard_link(first, folder / std::to_string(j));
  }
  run_bash(server, "sevt_first", "ls repository | wc -l; ls repository/99 | wc -l");
  auto run = start(server, {"--repo-image-path", (source.workdir() / "repository").string()});
  const bool done = server.wait(60s, [](const Service& s) { return answered(s, "sevt_first"); });
  CHECK(done);
  server.inspect([](const Service& s) {
    const auto* call = s.session.find("sevt_first");
    REQUIRE(!call->answers.empty());
    CHECK(call->answers.front().content.dump().find("100\\n600") != std::string::npos);
  });
  const auto between = intervals(server, 0);
  CHECK(between.size() >= 1);  // or the copy was too fast to tell
  for (const auto each : between) CHECK(each <= 1100ms);
  check_clean_end(server, *run);
}

TEST_CASE("lease: heartbeats go on through the teardown, until the item is stopped") {
  SessionServer server(with_ttl(2));
  auto run = start(server);
  server.add_fault({.on = RequestKind::post, .action = FaultAction::no_answer, .count = 100});
  // A slow answer to the stop: the last step of the teardown, after one second of posting.
  server.add_fault({.on = RequestKind::stop, .action = FaultAction::delay, .delay = 1200ms});
  run_bash(server, "sevt_first", "echo hi");
  CHECK(server.wait(20s, [](const Service& s) { return s.count(RequestKind::post) > 0; }));
  const auto before = beats(server);
  run->process().signal(SIGTERM);
  CHECK(run->wait_for_exit() == 0);
  CHECK(beats(server) > before);
}

TEST_CASE("lease: after the last good heartbeat no call goes on for longer than the ttl") {
  for (const auto action : {FaultAction::no_answer, FaultAction::status, FaultAction::down}) {
    CAPTURE(static_cast<int>(action));
    SessionServer server(with_ttl(4));
    auto run = start(server);
    // One that ends by itself when it is asked to, and one that is deaf to all that can be ignored.
    run_bash(server, "sevt_meek", "while :; do date +%s%3N >> meek; read -t 0.05 <> <(:); done", "sthr_1");
    run_bash(server, "sevt_deaf",
             "bash -c 'trap \"\" INT TERM HUP; while :; do date +%s%3N >> deaf; read -t 0.05 <> <(:); done'",
             "sthr_2");
    const auto file = [&](const char* name) { return run->folder().workdir() / name; };
    CHECK(until_file(*run, "meek"));
    CHECK(until_file(*run, "deaf"));
    const auto before = beats(server);
    CHECK(server.wait(10s, [&](const Service& s) { return s.work.heartbeats().size() > before; }));
    server.add_fault(
        {.on = RequestKind::heartbeat, .action = action, .status = 503, .delay = 60s, .count = 1000});
    CHECK(run->wait_for_exit() == 3);
    const auto last_beat = server.inspect([](const Service& s) { return s.work.heartbeats().back(); });
    const auto expiry = duration_cast<milliseconds>(last_beat.time_since_epoch()) + 4s;
    for (const auto* name : {"meek", "deaf"}) {
      auto text = read_text(file(name));
      text.pop_back();
      const milliseconds last(std::stoll(text.substr(text.rfind('\n') + 1)));
      CAPTURE(name);
      // The half second is for a machine whose cores are taken by others.
      CHECK(last.count() <= expiry.count() + 500);
      CHECK(last.count() > expiry.count() - 3000);  // and not for much less
    }
    CHECK_FALSE(server.inspect([](const Service& s) { return s.work.stopped_by_worker(); }));
    CHECK(processes_below(run->folder().workdir()).empty());
  }
}

TEST_CASE("lease: a first heartbeat that says stop gets a hint on the usual cause, a later one doesn't") {
  constexpr const char* kHint = "the very first heartbeat was told to stop";
  for (const bool first : {true, false}) {
    auto settings = with_ttl(2);
    if (first) settings.work.state = "stopped";
    SessionServer server(settings);
    auto run = start(server);
    if (!first) {
      CHECK(server.wait(10s, [](const Service& s) { return s.streams_opened == 1; }));
      server.ask_to_stop();
    }
    CHECK(run->wait_for_exit() == 0);
    CHECK((run->log().find(kHint) != std::string::npos) == first);
  }
}

TEST_CASE("lease: a first heartbeat that is refused ends the run with 1 and the reason, and nothing runs") {
  SessionServer server(with_ttl(2));
  server.add_fault(
      {.on = RequestKind::heartbeat, .action = FaultAction::status, .status = 401, .count = 1000});
  run_bash(server, "sevt_first", "touch ran");
  auto run = start(server);
  CHECK(run->wait_for_exit() == 1);
  CHECK(run->log().find("the lease can't be kept: status 401") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(run->folder().workdir() / "ran"));
  CHECK(server.inspect([](const Service& s) { return s.count(RequestKind::stop); }) == 1);
}

TEST_CASE("lease: the answer to the very first heartbeat is lost, and its lease is adopted") {
  SessionServer server(with_ttl(4));
  server.add_fault({.on = RequestKind::heartbeat, .action = FaultAction::close, .commit = true});
  run_bash(server, "sevt_first", "echo hi");
  auto run = start(server);
  CHECK(server.wait(20s, [](const Service& s) { return answered(s, "sevt_first"); }));
  CHECK(run->log().find("heartbeat refused, the lease has changed") != std::string::npos);
  check_clean_end(server, *run);
}

TEST_CASE(
    "lease: heartbeats that never reached the service give the next start no claim on another's lease") {
  struct Row {
    const char* what;
    bool killed;
  };
  for (const auto& [what, killed] :
       {Row{"killed", true}, Row{"ended in order, but the item could not be stopped", false}}) {
    CAPTURE(what);
    SessionServer server(with_ttl(2));
    WorkerPlace place(server);
    server.listen(false);
    auto& first = place.start({{"SANDBOX_WORKER_MAX_RUN", killed ? "0" : "300ms"}});
    REQUIRE(place.wait_for_log("heartbeat failed"));
    if (killed) place.kill(first);
    if (!killed) CHECK(place.wait_for_exit(first) == 1);
    server.give_lease_to_another();
    server.listen(true);
    auto& second = place.start();
    CHECK(place.wait_for_exit(second) == 3);
    CAPTURE(place.log());
    CHECK(place.log().find("going on with the lease") == std::string::npos);
    CHECK_FALSE(server.inspect([](const Service& s) { return s.work.stopped_by_worker(); }));
  }
}

TEST_CASE("lease: a newer claim of the orchestrator is worth more than what a killed worker has left") {
  SessionServer server(with_ttl(60));
  WorkerPlace place(server);
  auto& first = place.start();
  REQUIRE(server.wait(20s, [](const Service& s) { return s.streams_opened == 1; }));
  REQUIRE(place.wait_for_log("attached"));
  REQUIRE(server.wait(20s, [](const Service& s) { return s.work.heartbeats().size() == 1; }));
  place.kill(first);
  auto& second = place.start({{"ANTHROPIC_WORK_LAST_HEARTBEAT", "newer"}});
  CHECK(place.wait_for_exit(second) == 3);
  const auto echoed = server.inspect([](const Service& s) {
    return std::ranges::any_of(s.requests(), [](const RequestRecord& request) {
      return request.target.find("expected_last_heartbeat=newer") != std::string::npos;
    });
  });
  CHECK(echoed);
}
