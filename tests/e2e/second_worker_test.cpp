// Several starts of the worker on one machine: after a kill, for the same item, for another item of the same
// session.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>

#include "tests/e2e/worker_place.hpp"

using namespace session_server;
using namespace std::chrono_literals;

namespace {

constexpr auto kLimit = 20s;
const std::string kOther = "work_02Other";

NewCall bash(std::string id, std::string command) {
  return {.id = std::move(id), .name = "bash", .input = {{"command", std::move(command)}}};
}

bool answered(SessionServer& server, const std::string& id) {
  return server.wait(kLimit, [&](const Service& service) {
    const Call* call = service.session.find(id);
    return call != nullptr && !call->answers.empty();
  });
}

std::string answer(const SessionServer& server, const std::string& id) {
  return server.inspect([&](const Service& service) {
    const auto& answers = service.session.find(id)->answers;
    return answers.size() == 1 ? text_of(answers.front().content) : fmt::format("{} answers", answers.size());
  });
}

bool attached(SessionServer& server, std::size_t streams = 1) {
  return server.wait(kLimit, [&](const Service& service) { return service.streams_opened >= streams; });
}

/// Runs a call that doesn't end by itself.
void begin_endless(SessionServer& server, WorkerPlace& place, const std::string& id) {
  server.call(bash(id, fmt::format("echo x >> {0}-count; touch {0}-began; sleep 300", id)));
  REQUIRE(place.wait_for_file(id + "-began"));
}

void end_session(SessionServer& server, WorkerPlace& place, WorkerProcess& worker) {
  server.idle();
  CHECK(place.wait_for_exit(worker) == 0);
  CHECK(server.inspect([](const Service& service) { return service.work.stopped_by_worker(); }));
}

void check_contract(SessionServer& server, WorkerPlace& place) {
  const auto violations = fmt::format("{}", fmt::join(server.finish(), "\n"));
  CAPTURE(place.log());
  CHECK(violations == "");
  CHECK(place.processes().empty());
}

std::size_t beats(SessionServer& server) {
  return server.inspect([](const Service& service) { return service.count(RequestKind::heartbeat); });
}

}  // namespace

TEST_CASE("restart: a killed worker's successor keeps the lease, runs nothing twice and ends what was left") {
  SessionServer server;
  WorkerPlace place(server);
  auto& first = place.start();
  REQUIRE(attached(server));
  server.call(bash("job", "(setsid sleep 300 & echo $! > pid); sleep 300 & echo $! > pid2"));
  REQUIRE(answered(server, "job"));
  begin_endless(server, place, "cut");
  server.call(bash("next",
                   "for p in $(cat pid) $(cat pid2); do readlink /proc/$p/cwd && echo $p lives; done; echo "
                   "x >> next-count"));
  place.kill(first);
  auto& second = place.start();
  REQUIRE(answered(server, "next"));
  CHECK(answer(server, "next") == "(no output)");
  REQUIRE(answered(server, "cut"));
  CHECK(answer(server, "cut").find("may have taken effect and was not run again") != std::string::npos);
  end_session(server, place, second);
  CHECK(place.read("cut-count") == "x\n");
  CHECK(place.read("next-count") == "x\n");
  CHECK(place.runtime_files() == "");
  check_contract(server, place);
}

TEST_CASE("restart: a result that was on its way when the worker was killed has one answer all the same") {
  Settings settings;
  settings.session.accept_duplicates = true;
  SessionServer server(settings);
  // A gateway holds it, and delivers it when the next worker serves the session.
  server.add_fault({.on = RequestKind::post, .action = FaultAction::no_answer, .commit_after = 900ms});
  WorkerPlace place(server);
  auto& first = place.start();
  REQUIRE(attached(server));
  server.call(bash("job", "echo x >> count; echo the result"));
  REQUIRE(server.wait(kLimit, [](const Service& service) { return service.count(RequestKind::post) == 1; }));
  place.kill(first);
  auto& second = place.start();
  REQUIRE(attached(server, 2));
  CHECK(server.inspect([](const Service& service) { return service.session.find("job")->answers.empty(); }));
  REQUIRE(answered(server, "job"));
  CHECK_FALSE(server.wait(std::chrono::seconds(2), [](const Service& service) {
    return service.session.find("job")->answers.size() > 1;
  }));
  end_session(server, place, second);
  CHECK(answer(server, "job") == "the result\n");
  CHECK(place.read("count") == "x\n");
  CHECK(place.runtime_files() == "");
  check_contract(server, place);
}

TEST_CASE("restart: results that could not be posted are posted by the successor, large ones too") {
  SessionServer server;
  server.add_fault({.on = RequestKind::post, .action = FaultAction::status, .status = 503, .count = 1000});
  WorkerPlace place(server);
  auto& first = place.start();
  REQUIRE(attached(server));
  server.call(bash("small", "echo x >> count; echo small result"));
  server.call(bash("large", "echo x >> count; seq 1 15000"));
  REQUIRE(place.wait_for_log("id=large outcome=ok"));
  REQUIRE(server.wait(kLimit, [](const Service& service) { return service.count(RequestKind::post) >= 2; }));
  place.kill(first);
  server.clear_faults();
  auto& second = place.start();
  REQUIRE(answered(server, "small"));
  CAPTURE(place.log());
  REQUIRE(answered(server, "large"));
  CHECK(answer(server, "small") == "small result\n");
  CHECK(answer(server, "large").ends_with("14999\n15000\n"));
  end_session(server, place, second);
  CHECK(place.read("count") == "x\nx\n");
  CHECK(place.runtime_files() == "");
  check_contract(server, place);
}

TEST_CASE("restart: output that didn't fit into a result can still be read") {
  SessionServer server;
  WorkerPlace place(server);
  auto& first = place.start();
  REQUIRE(attached(server));
  server.call(bash("large", "seq 1 100000"));
  REQUIRE(answered(server, "large"));
  const auto text = answer(server, "large");
  const auto begin = text.find("/run/session-");
  REQUIRE(begin != std::string::npos);
  const auto from =
      text.rfind('/', begin - 1) == std::string::npos ? begin : text.find_last_of(" \n[(", begin) + 1;
  const auto path = text.substr(from, text.find_first_of(" \n]),;:", begin) - from);
  place.kill(first);
  auto& second = place.start();
  REQUIRE(attached(server, 2));
  server.call({.id = "read", .name = "read", .input = {{"file_path", path}, {"view_range", {99999, 99999}}}});
  REQUIRE(answered(server, "read"));
  CAPTURE(path);
  CHECK(answer(server, "read").find("99999") != std::string::npos);
  end_session(server, place, second);
  CHECK(place.runtime_files() == "");
  check_contract(server, place);
}

TEST_CASE("restart: a journal that means nothing is ignored with a line in the log") {
  SessionServer server;
  WorkerPlace place(server);
  auto& first = place.start();
  REQUIRE(attached(server));
  begin_endless(server, place, "cut");
  place.kill(first);
  const std::filesystem::path run = place.folder().environment().at("SANDBOX_WORKER_RUNTIME_DIR");
  std::filesystem::resize_file(run / "session-sesn_01TestSession/journal", 7);
  server.answer_elsewhere("cut", "somebody else's");
  auto& second = place.start();
  REQUIRE(attached(server, 2));
  CHECK(place.wait_for_log("a journal is ignored"));
  end_session(server, place, second);
  CHECK(fmt::format("{}", fmt::join(server.finish(), "\n")) ==
        "");  // what was left runs on: nothing tells of it
}

TEST_CASE("same item twice: the second start neither beats nor serves, and takes over after a kill") {
  SessionServer server;
  WorkerPlace place(server);
  auto& first = place.start();
  REQUIRE(attached(server));
  begin_endless(server, place, "cut");
  auto& second = place.start();
  REQUIRE(place.wait_for_log(fmt::format(
      "waiting for another worker, which serves this work item on this machine pid={}", first.pid())));
  CHECK(beats(server) == 1);
  CHECK(server.inspect([](const Service& service) { return service.streams_opened; }) == 1);
  place.kill(first);
  REQUIRE(answered(server, "cut"));
  CHECK(answer(server, "cut").find("was not run again") != std::string::npos);
  CHECK(place.log().find("going on with the lease of the worker before") != std::string::npos);
  end_session(server, place, second);
  CHECK(place.read("cut-count") == "x\n");
  check_contract(server, place);
}

TEST_CASE("same item twice: a signal to the second start leaves the item alone") {
  SessionServer server;
  WorkerPlace place(server);
  auto& first = place.start();
  REQUIRE(attached(server));
  auto& second = place.start();
  REQUIRE(place.wait_for_log("waiting for another worker"));
  second.signal(SIGTERM);
  CHECK(place.wait_for_exit(second) == 0);
  CHECK(server.inspect([](const Service& service) { return service.count(RequestKind::stop); }) == 0);
  server.call(bash("still", "echo served"));
  REQUIRE(answered(server, "still"));
  end_session(server, place, first);
  check_contract(server, place);
}

TEST_CASE("same item twice: after a clean end there is nothing left to do for the second start") {
  SessionServer server;
  // The second worker doesn't know that the item is stopped; a stop whose answer was lost may come again.
  server.add_fault({.on = RequestKind::stop, .action = FaultAction::close, .commit = true});
  WorkerPlace place(server);
  auto& first = place.start();
  REQUIRE(attached(server));
  auto& second = place.start();
  REQUIRE(place.wait_for_log("waiting for another worker"));
  end_session(server, place, first);
  CHECK(place.wait_for_exit(second) == 0);
  CHECK(server.inspect([](const Service& service) { return service.streams_opened; }) == 1);
  check_contract(server, place);
}

TEST_CASE("two items: the second worker keeps its own lease, waits, and then serves the session") {
  Settings settings;
  settings.work.ttl_seconds = 2;
  SessionServer server(settings);
  server.add_item(kOther);
  WorkerPlace place(server);
  auto& first = place.start();
  REQUIRE(attached(server));
  begin_endless(server, place, "running");
  auto& second = place.start_for(kOther);
  REQUIRE(place.wait_for_log(
      fmt::format("waiting for another worker, which serves this session on this machine pid={} "
                  "its_work=work_01TestWork our_pid={}",
                  first.pid(), second.pid())));
  CHECK(server.wait(
      kLimit, [](const Service& service) { return service.more_items.at(kOther).heartbeats().size() >= 3; }));
  CHECK(server.inspect([](const Service& service) { return service.streams_opened; }) == 1);

  first.signal(SIGTERM);
  CHECK(place.wait_for_exit(first) == 0);
  CHECK(server.inspect([](const Service& service) { return service.work.stopped_by_worker(); }));
  REQUIRE(attached(server, 2));
  server.call(bash("later", "echo served by the second"));
  REQUIRE(answered(server, "later"));
  CHECK(answer(server, "running").find("interrupted") != std::string::npos);
  CHECK(answer(server, "later") == "served by the second\n");
  server.idle();
  CHECK(place.wait_for_exit(second) == 0);
  CHECK(server.inspect(
      [](const Service& service) { return service.more_items.at(kOther).stopped_by_worker(); }));
  CHECK(place.runtime_files() == "");
  check_contract(server, place);
}

TEST_CASE("two items: a signal to the waiting worker stops its own item only") {
  SessionServer server;
  server.add_item(kOther);
  WorkerPlace place(server);
  auto& first = place.start();
  REQUIRE(attached(server));
  auto& second = place.start_for(kOther);
  REQUIRE(place.wait_for_log("waiting for another worker"));
  second.signal(SIGTERM);
  CHECK(place.wait_for_exit(second) == 0);
  CHECK(server.inspect([](const Service& service) {
    return service.more_items.at(kOther).stopped_by_worker() && !service.work.stopped_by_worker();
  }));
  server.call(bash("still", "echo served"));
  REQUIRE(answered(server, "still"));
  end_session(server, place, first);
  check_contract(server, place);
}

TEST_CASE("two items: when the serving worker is killed the waiting one takes over, and runs nothing twice") {
  SessionServer server;
  server.add_item(kOther);
  WorkerPlace place(server);
  auto& first = place.start();
  REQUIRE(attached(server));
  begin_endless(server, place, "cut");
  auto& second = place.start_for(kOther);
  REQUIRE(place.wait_for_log("waiting for another worker"));
  place.kill(first);
  REQUIRE(answered(server, "cut"));
  CHECK(answer(server, "cut").find("was not run again") != std::string::npos);
  CHECK(place.log().find("going on with the lease") == std::string::npos);
  server.idle();
  CHECK(place.wait_for_exit(second) == 0);
  CHECK(server.inspect([](const Service& service) {
    return service.more_items.at(kOther).stopped_by_worker() && !service.work.stopped_by_worker();
  }));
  CHECK(place.read("cut-count") == "x\n");
  check_contract(server, place);
}

TEST_CASE("two items: a waiting worker that is killed keeps its lease when it is started again") {
  Settings settings;
  settings.work.ttl_seconds = 4;
  SessionServer server(std::move(settings));
  server.add_item(kOther);
  WorkerPlace place(server);
  auto& first = place.start();
  REQUIRE(attached(server));
  auto& second = place.start_for(kOther);
  REQUIRE(place.wait_for_log("waiting for another worker"));
  REQUIRE(server.wait(
      kLimit, [](const Service& service) { return service.more_items.at(kOther).heartbeats().size() == 2; }));
  place.kill(second);  // the answer to the first one is on record, or there would be no second
  auto& third = place.start_for(kOther);
  REQUIRE(server.wait(
      kLimit, [](const Service& service) { return service.more_items.at(kOther).heartbeats().size() >= 3; }));
  end_session(server, place, first);
  CHECK(place.wait_for_exit(third) == 0);
  CHECK(server.inspect(
      [](const Service& service) { return service.more_items.at(kOther).stopped_by_worker(); }));
  check_contract(server, place);
}
