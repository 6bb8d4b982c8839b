// Results on their way: whatever happens to a post, each call has one answer in its history.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fstream>
#include <set>

#include "tests/e2e/serving.hpp"

using namespace session_server;
using namespace std::chrono_literals;
using std::chrono::milliseconds;

namespace {

struct Served {
  explicit Served(SessionSettings session = {}, std::vector<std::string> arguments = {})
      : server(settings(std::move(session))),
        run(&server, {{{"SANDBOX_WORKER_MAX_IDLE", "0"}}, std::move(arguments)}) {
    REQUIRE(server.wait(20s, [](const Service& s) { return s.streams_open == 1; }));
  }

  static Settings settings(SessionSettings session) {
    Settings made;
    made.session = std::move(session);
    return made;
  }
  static SessionSettings duplicates_accepted() {
    SessionSettings session;
    session.accept_duplicates = true;
    return session;
  }

  bool all_answered(const std::vector<std::string>& ids, milliseconds limit) {
    return server.wait(limit, [&](const Service& s) {
      return std::ranges::all_of(ids, [&](const auto& id) { return answered(s, id); });
    });
  }
  std::size_t answers_to(const std::string& id) {
    return server.inspect([&](const Service& s) { return answers(s, id); });
  }
  std::string text_of_answer(const std::string& id) {
    return server.inspect(
        [&](const Service& s) { return text_of(s.session.find(id)->answers.front().content); });
  }
  std::size_t posts() {
    return server.inspect([](const Service& s) { return s.count(RequestKind::post); });
  }

  /// A call in a thread of its own, until its result was posted first.
  void run_and_post(const std::string& id, const std::string& command) {
    const auto before = posts();
    run_bash(server, id, command, "thread_" + id);
    REQUIRE(server.wait(20s, [&](const Service& s) { return s.count(RequestKind::post) > before; }));
  }

  /// Ends the session, and says what the worker did wrong. Late arrivals have been waited for.
  void end() {
    server.terminate();
    CHECK(run.wait_for_exit() == 0);
    const auto violations = server.finish();
    CHECK_MESSAGE(violations.empty(), fmt::format("{}", fmt::join(violations, "; ")));
  }

  SessionServer server;
  WorkerRun run;
};

Fault post_fault(const std::string& call, FaultAction action) {
  Fault fault{.on = RequestKind::post, .action = action};
  fault.contains = fmt::format("\"{}\"", call);
  return fault;
}

/// The lines of a file in the worker's folder, to see what has run how often.
std::multiset<std::string> lines_of(const WorkerRun& run, const std::string& name) {
  std::ifstream file(run.folder().workdir() / name);
  std::multiset<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.insert(line);
  return lines;
}

}  // namespace

namespace {

/// `deaf`: the worker has no stream meanwhile, so that only the history tells it what arrived.
void attempts_arrive_late(bool deaf) {
  CAPTURE(deaf);
  Served served(Served::duplicates_accepted(), {"--response-timeout", "300ms"});
  std::vector<std::string> ids;
  for (const auto action :
       {FaultAction::close, FaultAction::reset, FaultAction::no_answer, FaultAction::status}) {
    for (const milliseconds late : {1ms, 250ms, 500ms, 750ms, 1000ms}) {
      const std::string id = fmt::format("call_{}", ids.size());
      auto fault = post_fault(id, action);
      fault.status = 504;
      // A hanging attempt is given up after its time limit, and late by that.
      fault.commit_after = late + (action == FaultAction::no_answer ? 300ms : 0ms);
      served.server.add_fault(fault);
      ids.push_back(id);
    }
  }
  for (const auto& id : ids) {
    const auto command =
        fmt::format("touch begun_{0}; until test -e go_{0}; do sleep 0.05; done; echo {0} >> ran", id);
    run_bash(served.server, id, command, "thread_" + id);
  }
  for (const auto& id : ids) REQUIRE(until_file(served.run, "begun_" + id));
  if (deaf) {
    Fault no_stream{.on = RequestKind::stream, .action = FaultAction::status, .status = 503};
    no_stream.count = 1000;
    served.server.add_fault(no_stream);
    served.server.cut_streams();
  }
  // One after another, so that each fault meets a result of its own.
  for (const auto& id : ids) {
    const auto before = served.posts();
    std::ofstream(served.run.folder().workdir() / ("go_" + id)).put('\n');
    REQUIRE(served.server.wait(20s, [&](const Service& s) { return s.count(RequestKind::post) > before; }));
  }
  REQUIRE(served.all_answered(ids, 30s));
  const auto faulted = served.server.inspect([](const Service& s) {
    return std::ranges::count_if(s.requests(),
                                 [](const auto& r) { return r.faulted && r.kind == RequestKind::post; });
  });
  CHECK(std::size_t(faulted) == ids.size());
  // Whatever is still to come has come when these are posted: by then every result has had its second look.
  served.server.clear_faults();
  REQUIRE(served.server.wait(20s, [](const Service& s) { return s.streams_open == 1; }));
  run_bash(served.server, "after", "sleep 3");
  REQUIRE(served.all_answered({"after"}, 20s));
  for (const auto& id : ids) {
    CAPTURE(id);
    CHECK(served.answers_to(id) == 1);
    CHECK(lines_of(served.run, "ran").count(id) == 1);
  }
  served.end();
}

}  // namespace

TEST_CASE("posting: no call has two answers when an attempt arrives up to a second late") {
  attempts_arrive_late(false);
}

TEST_CASE("posting: ... nor when only the history can tell") {
  attempts_arrive_late(true);
}

TEST_CASE("posting: a stored result whose answer was lost is not sent again") {
  Served served(Served::duplicates_accepted());
  std::vector<std::string> ids;
  for (const auto action : {FaultAction::close, FaultAction::reset, FaultAction::half_body,
                            FaultAction::reset_body, FaultAction::status}) {
    ids.push_back(fmt::format("call_{}", ids.size()));
    auto fault = post_fault(ids.back(), action);
    fault.status = 502;
    fault.commit = true;
    served.server.add_fault(fault);
    run_bash(served.server, ids.back(), "echo hello");
    REQUIRE(served.all_answered(ids, 20s));
  }
  // By now a second attempt would have been made.
  run_bash(served.server, "after", "sleep 3; echo done");
  REQUIRE(served.all_answered({"after"}, 20s));
  for (const auto& id : ids) CHECK(served.answers_to(id) == 1);
  CHECK(served.posts() == ids.size() + 1);
  served.end();
}

TEST_CASE("posting: a refused result gives way to a short error, and the others are not touched") {
  Served served;
  for (const unsigned status : {400U, 413U, 422U}) {
    const auto id = fmt::format("call_{}", status);
    // Met by the result itself, alone or in a shared request, and not by what stands in for it.
    Fault fault{.on = RequestKind::post, .action = FaultAction::status, .status = status};
    fault.contains = "what is refused";
    fault.count = 1000;
    served.server.clear_faults();
    served.server.add_fault(fault);
    run_bash(served.server, id, "echo what is refused");
    run_bash(served.server, id + "_b", "echo hello", "other");
    REQUIRE(served.all_answered({id, id + "_b"}, 20s));
    CHECK(served.text_of_answer(id).find(fmt::format("refused its result (status {})", status)) !=
          std::string::npos);
    CHECK(served.text_of_answer(id + "_b") == "hello\n");
  }
  served.end();
}

TEST_CASE("posting: a duplicate that is refused with 400 counts as answered") {
  Served served;
  // The worker can't hear of the other answer: its stream is gone, and none can be opened.
  Fault no_stream{.on = RequestKind::stream, .action = FaultAction::status, .status = 503};
  no_stream.count = 1000;
  run_bash(served.server, "call", "touch begun; until test -e go; do sleep 0.05; done; echo ours");
  REQUIRE(until_file(served.run, "begun"));
  served.server.add_fault(no_stream);
  served.server.cut_streams();
  served.server.answer_elsewhere("call", "theirs");
  std::ofstream(served.run.folder().workdir() / "go").put('\n');
  const bool posted =
      served.server.wait(20s, [](const Service& s) { return s.count(RequestKind::post) == 1; });
  REQUIRE_MESSAGE(posted, served.run.log());
  served.server.clear_faults();
  REQUIRE(served.server.wait(20s, [](const Service& s) { return s.streams_open == 1; }));
  run_bash(served.server, "next", "echo next");
  REQUIRE(served.all_answered({"next"}, 20s));
  CHECK(served.answers_to("call") == 1);
  CHECK(served.text_of_answer("call") == "theirs");
  CHECK(served.posts() == 2);
  CHECK(served.run.log().find("result had arrived") != std::string::npos);
  served.server.terminate();
  CHECK(served.run.wait_for_exit() == 0);
}

TEST_CASE("posting: results wait out a service that is down, over reconnects, while later calls go on") {
  Served served(Served::duplicates_accepted());
  Fault down{.on = RequestKind::post, .action = FaultAction::status, .status = 503};
  down.count = 1000;
  served.server.add_fault(down);
  std::vector<std::string> ids;
  for (int i = 0; i < 6; ++i) {
    ids.push_back(fmt::format("call_{}", i));
    run_bash(served.server, ids.back(), fmt::format("echo {} >> ran; touch ran_{}", i, i));
    REQUIRE(until_file(served.run, fmt::format("ran_{}", i)));
    if (i % 2 == 0) {
      const auto opened = served.server.inspect([](const Service& s) { return s.streams_opened; });
      served.server.cut_streams(Cut::reset);
      REQUIRE(served.server.wait(20s, [&](const Service& s) { return s.streams_opened > opened; }));
    }
  }
  CHECK(served.answers_to("call_0") == 0);
  served.server.clear_faults();
  REQUIRE(served.all_answered(ids, 60s));
  for (const auto& id : ids) CHECK(served.answers_to(id) == 1);
  CHECK(lines_of(served.run, "ran").size() == ids.size());
  served.end();
}

TEST_CASE("posting: a post that hangs holds up no other, and its result arrives in the end") {
  Served served({}, {"--response-timeout", "8s"});
  for (int i = 0; i < 6; ++i) {
    const auto id = fmt::format("hangs_{}", i);
    served.server.add_fault(post_fault(id, FaultAction::no_answer));
    served.run_and_post(id, "echo slow");
  }
  std::vector<std::string> ids;
  for (int i = 0; i < 10; ++i) {
    ids.push_back(fmt::format("quick_{}", i));
    run_bash(served.server, ids.back(), "echo quick");
  }
  REQUIRE(served.all_answered(ids, 7s));
  CHECK(served.answers_to("hangs_0") == 0);
  for (int i = 0; i < 6; ++i) {
    const auto id = fmt::format("hangs_{}", i);
    CHECK(served.all_answered({id}, 30s));
    CHECK(served.answers_to(id) == 1);
  }
  served.end();
}

TEST_CASE("posting: over 100 MB of waiting results cost no memory, and all arrive") {
  Served served(Served::duplicates_accepted());
  const auto pid = served.run.process().pid();
  const auto resident = [&] {
    std::ifstream status(fmt::format("/proc/{}/status", pid));
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("RssAnon:")) return std::stoul(line.substr(8)) * 1024;
    }
    return 0UL;
  };
  const auto in_files = [&] {
    std::uintmax_t bytes = 0;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", pid), ignored)) {
      if (std::filesystem::read_symlink(entry, ignored).string().ends_with("(deleted)")) {
        bytes += std::filesystem::file_size(entry, ignored);
      }
    }
    return bytes;
  };
  constexpr int kCalls = 280;  // of 400,000 bytes each
  run_bash(served.server, "prepare",
           "head -c 99000 /dev/zero | tr '\\0' x | sed 's/x/\\xf0\\x9f\\x98\\x80/g' > big; wc -c < big");
  REQUIRE(served.all_answered({"prepare"}, 20s));
  REQUIRE(served.text_of_answer("prepare") == "396000\n");
  const auto before = resident();

  Fault down{.on = RequestKind::post, .action = FaultAction::status, .status = 429};
  down.count = 1'000'000;
  down.headers = {{"retry-after", "3"}};
  served.server.add_fault(down);
  std::vector<std::string> ids;
  for (int i = 0; i < kCalls; ++i) {
    ids.push_back(fmt::format("call_{}", i));
    run_bash(served.server, ids.back(), fmt::format("cat big; echo {} >> ran", i));
  }
  REQUIRE(poll(120s, [&] { return lines_of(served.run, "ran").size() == kCalls; }));
  REQUIRE(poll(20s, [&] { return in_files() > 100'000'000; }));
  const auto held = resident() - before;
  MESSAGE("112 MB of results wait, and memory has grown by ", held / 1024, " KiB");
  if (!is_sanitized()) CHECK(held < 40'000'000);
  served.server.clear_faults();
  REQUIRE(served.all_answered(ids, 120s));
  for (const auto& id : ids) CHECK(served.answers_to(id) == 1);
  CHECK(served.text_of_answer("call_279").size() > 390'000);
  served.end();
}
