#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/e2e/agent.hpp"
#include "tests/e2e/serving.hpp"
#include "tests/e2e/worker_run.hpp"

using namespace session_server;
using namespace std::chrono_literals;

namespace {

/// The most memory that a process has had resident, in bytes.
std::size_t peak_memory(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; status >> word;) {
    std::size_t kib = 0;
    if (word == "VmHWM:" && status >> kib) return kib * 1024;
  }
  return 0;
}

/// Peak memory of a worker that attaches to a session with such a history and answers its open call.
std::size_t peak_with_history(std::size_t events, std::size_t event_bytes) {
  SessionServer server;
  for (std::size_t i = 0; i < events; ++i)
    server.append({{"type", "agent.message"}, {"filler", std::string(event_bytes, 'x')}});
  run_bash(server, "sevt_open", "echo found");
  WorkerRun run(&server);
  CHECK(answer_to(server, "sevt_open", 60s) == "found\n");
  CHECK(server.inspect([](const Service& service) { return service.handled(RequestKind::history); }) == 1);
  const auto peak = peak_memory(run.process().pid());
  server.terminate();
  CHECK(run.wait_for_exit() == 0);
  return peak;
}

}  // namespace

TEST_CASE("memory: a history page of 300 MB costs less than 16 MiB") {
  const auto small = peak_with_history(1, 100);
  CHECK(small > 0);
  if (is_sanitized()) {
    peak_with_history(99, 310'000);  // that it is read; the whole would take minutes
    return;
  }
  const auto large = peak_with_history(990, 310'000);
  MESSAGE("peak ", small / 1024, " KiB, with 300 MB of history ", large / 1024, " KiB");
  CHECK(large < small + 16 * 1024 * 1024);
}

TEST_CASE("memory: JSON nested 100,000 deep is taken as it comes, on the stream and in the history") {
  for (const auto& [open, close] : {std::pair<std::string, std::string>("[", "]"), {R"({"a":)", "}"}}) {
    CAPTURE(open);
    std::string deep;
    for (int i = 0; i < 100'000; ++i) deep += open;
    deep += "1";
    for (int i = 0; i < 100'000; ++i) deep += close;
    // No call of ours: an answer to it would be one too many.
    const std::string event =
        R"({"type":"agent.tool_use","id":"sevt_deep","name":"not_ours","input":)" + deep + "}";
    SessionServer server;
    server.add_fault({.on = RequestKind::history,
                      .action = FaultAction::status,
                      .status = 200,
                      .headers = {{"content-type", "application/json"}},
                      .body = R"({"data":[)" + event + R"(],"next_page":null})"});
    WorkerRun run(&server);
    REQUIRE(server.wait(15s, [](const Service& service) {
      return service.streams_open == 1 && service.count(RequestKind::history) == 1;
    }));
    server.send_raw("event: agent.tool_use\ndata: " + event + "\n\n");
    server.send_raw("event: agent.tool_use\ndata: " + deep + "\n\n");
    CHECK(bash(server, "sevt_1", "echo on the same stream") == "on the same stream\n");
    CHECK(server.inspect([](const Service& service) { return service.streams_opened; }) == 1);
    server.terminate();
    CHECK(run.wait_for_exit() == 0);
    CHECK(server.finish().empty());
  }
}

TEST_CASE("memory: over 100 MB of inputs that wait for a confirmation cost no memory, and all come through") {
  constexpr std::size_t kCalls = 60;  // each, in the history and on the stream
  constexpr std::size_t kBytes = 1'000'000;
  SessionServer server;
  const auto id_of = [](std::size_t i) { return "sevt_" + std::to_string(i); };
  const auto hold = [&](std::size_t i) {
    server.call(
        {.id = id_of(i),
         .name = "write",
         .input = {{"file_path", "file_" + std::to_string(i)}, {"content", std::string(kBytes + i, 'x')}},
         .permission = "ask"});
  };
  for (std::size_t i = 0; i < kCalls; ++i) hold(i);
  WorkerRun run(&server);
  CHECK(bash(server, "sevt_read", "echo the history is read") == "the history is read\n");
  for (std::size_t i = kCalls; i < 2 * kCalls; ++i) hold(i);
  CHECK(bash(server, "sevt_seen", "echo they are here") == "they are here\n");
  const auto peak = peak_memory(run.process().pid());
  MESSAGE("peak ", peak / 1024, " KiB");
  if (!is_sanitized()) CHECK(peak < 48 * 1024 * 1024);

  for (std::size_t i = 0; i < 2 * kCalls; ++i) server.confirm(id_of(i), "allow");
  for (std::size_t i = 0; i < 2 * kCalls; ++i) {
    CHECK(answer_to(server, id_of(i), 60s).find("Wrote") != std::string::npos);
    CHECK(std::filesystem::file_size(run.folder().workdir() / ("file_" + std::to_string(i))) == kBytes + i);
  }
  server.terminate();
  CHECK(run.wait_for_exit() == 0);
  CHECK(server.finish().empty());
}
