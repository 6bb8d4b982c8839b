// The program itself, waiting for a worker that a person starts.

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>

#include "tests/session_server/session_folder.hpp"
#include "tests/session_server/worker_process.hpp"
#include "tests/support/poll.hpp"

using namespace session_server;
using namespace std::chrono_literals;
using sandbox_worker::testing::poll;

TEST_CASE("play: without a worker, a signal ends the wait for one") {
  for (const int number : {SIGINT, SIGTERM}) {
    CAPTURE(number);
    const SessionFolder folder(std::nullopt);
    WorkerProcess program({.command = {TEST_SESSION, "play", SESSIONS_FOLDER "/hello.json"},
                           .environment = {},
                           .workdir = folder.workdir(),
                           .log = folder.log(),
                           .on_exit = [] {}});
    REQUIRE(
        poll(15s, [&] { return folder.log_text().find("SANDBOX_WORKER_MAX_IDLE") != std::string::npos; }));
    program.signal(number);
    CHECK(poll(15s, [&] { return program.exited(); }));
    CHECK(program.exit_code() == 128 + number);
  }
}
