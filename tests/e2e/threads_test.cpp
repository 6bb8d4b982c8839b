// Many session threads in one worker: what they share, and what is left of them.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "tests/e2e/serving.hpp"

using namespace session_server;

TEST_CASE("bash: threads that come and go leave no shell and no descriptor behind") {
  constexpr int kThreads = 200;
  SessionServer server;
  WorkerRun run(&server, {.environment = {{"SANDBOX_WORKER_MAX_IDLE", "300ms"}},
                          .arguments = {},
                          .wrapper = {"/bin/bash", "-c", "ulimit -n 1024; exec \"$0\" \"$@\""}});
  for (int i = 0; i < kThreads; ++i) {
    const auto id = fmt::format("sevt_{}", i);
    const auto thread = fmt::format("sthr_{}", i);
    run_bash(server, id, "sleep 300 & echo ran", thread);
    const bool done =
        server.wait(std::chrono::seconds(20), [&](const Service& s) { return answered(s, id); });
    REQUIRE(done);
    const auto text =
        server.inspect([&](const Service& s) { return s.session.find(id)->answers.front().content.dump(); });
    CHECK(text.find("ran") != std::string::npos);
    if (i % 2 == 0) server.end_thread(thread);
  }
  // Half of the threads live on, and 64 of them with their shell and its child.
  CHECK(poll(std::chrono::seconds(20),
             [&] { return processes_below(run.folder().workdir()).size() <= 1 + 64 * 2; }));
  server.idle();
  CHECK(run.wait_for_exit() == 0);
  CHECK(server.finish() == std::vector<std::string>());
  CHECK(processes_below(run.folder().workdir()).empty());
}

TEST_CASE("write: threads that write one file at once leave the whole text of one of them") {
  constexpr int kThreads = 8;
  constexpr std::size_t kBytes = 300'000;
  SessionServer server;
  WorkerRun run(&server, {.environment = {{"SANDBOX_WORKER_MAX_IDLE", "300ms"}}});
  for (int i = 0; i < kThreads; ++i) {
    const auto letter = static_cast<char>('a' + i);
    make_call(
        server, fmt::format("sevt_{}", i), "write",
        {{"file_path", "shared"}, {"content", std::string(kBytes + static_cast<std::size_t>(i), letter)}},
        fmt::format("sthr_{}", i));
  }
  for (int i = 0; i < kThreads; ++i) {
    const auto id = fmt::format("sevt_{}", i);
    CHECK(server.wait(std::chrono::seconds(20), [&](const Service& s) { return answered(s, id); }));
    CHECK_FALSE(
        server.inspect([&](const Service& s) { return s.session.find(id)->answers.front().is_error; }));
  }
  std::ifstream file(run.folder().workdir() / "shared", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  REQUIRE(text.size() >= kBytes);
  const auto writer = static_cast<std::size_t>(text.front() - 'a');
  CHECK(text == std::string(kBytes + writer, text.front()));
  server.idle();
  CHECK(run.wait_for_exit() == 0);
  CHECK(server.finish() == std::vector<std::string>());
}

TEST_CASE("threads: while searches take all that they may have, others are interrupted, and files written") {
  using namespace std::chrono_literals;
  SessionServer server;
  WorkerRun run(&server, {.environment = {{"SANDBOX_WORKER_MAX_IDLE", "300ms"}}});
  // A hole of a terabyte takes minutes to read.
  const auto endless = run.folder().workdir() / "endless";
  std::ofstream(endless) << std::string(10'000, 't');
  std::filesystem::resize_file(endless, std::uintmax_t{1} << 40U);
  const int searches = 2 + static_cast<int>(std::thread::hardware_concurrency()) * 2;
  for (int i = 0; i < searches; ++i)
    make_call(server, fmt::format("sevt_{}", i), "grep", {{"pattern", "nothing of it"}},
              fmt::format("sthr_{}", i));
  // A large input is decoded aside, and what comes after it on the stream waits for it.
  make_call(server, "sevt_write", "write", {{"file_path", "written"}, {"content", std::string(200'000, 'x')}},
            "sthr_w");
  CHECK(server.wait(5s, [](const Service& s) { return answered(s, "sevt_write"); }));
  const auto all = [&](const Service& s) {
    int count = 0;
    for (int i = 0; i < searches; ++i) count += answered(s, fmt::format("sevt_{}", i));
    return count;
  };
  CHECK(server.inspect(all) == 0);
  server.interrupt();
  CHECK(server.wait(2s, [&](const Service& s) { return all(s) == searches; }));
  server.idle();
  CHECK(run.wait_for_exit() == 0);
  CHECK(server.finish() == std::vector<std::string>());
}
