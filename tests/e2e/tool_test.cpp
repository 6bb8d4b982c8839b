// `sandbox-worker tool`: one call without a session.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/e2e/serving.hpp"
#include "tests/e2e/worker_run.hpp"

using namespace session_server;
using namespace std::chrono_literals;

namespace {

WorkerRun::Options bash(const std::string& command, std::vector<std::string> wrapper = {}) {
  return {.arguments = {"tool", "bash", fmt::format(R"({{"command": "{}"}})", command)},
          .wrapper = std::move(wrapper)};
}

/// A shell that does this before it becomes the worker.
std::vector<std::string> after(const std::string& words) {
  return {"bash", "-c", words + R"(exec "$@")", "bash"};
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string runtime_files(const WorkerRun& run) {
  std::string names;
  for (const auto& file : std::filesystem::directory_iterator(run.folder().runtime_dir()))
    names += file.path().filename().string() + ' ';
  return names;
}

std::string file_text(const WorkerRun& run, const std::string& name) {
  std::ifstream file(run.folder().workdir() / name);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("tool: a signal cuts the call, prints what came, and nothing is left") {
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    CAPTURE(number);
    WorkerRun run(nullptr, bash("setsid sleep 299 & (sleep 298 &); seq 1 100000; touch began; sleep 297"));
    REQUIRE(until_file(run, "began", 15s));
    run.process().signal(number);
    CHECK(run.wait_for_exit() == 128 + number);
    CHECK(nothing_runs(run));
    CHECK(runtime_files(run).empty());
    CHECK(has(run.log(), "100000\n"));
    CHECK(has(run.log(), "nterrupted"));
  }
}

TEST_CASE("tool: a second signal ends all at once") {
  WorkerRun run(nullptr,
                bash("trap '' INT TERM; setsid sleep 296 & touch began; while :; do sleep 295; done"));
  REQUIRE(until_file(run, "began", 15s));
  run.process().signal(SIGTERM);
  run.process().signal(SIGINT);
  const auto status = run.wait_for_exit();
  // Two signals that are pending at once come in the order of their numbers.
  CHECK((status == 128 + SIGINT || status == 128 + SIGTERM));
  CHECK(nothing_runs(run));
  CHECK(runtime_files(run).empty());
}

TEST_CASE("tool: output that doesn't fit is cut and no file is named that would be gone") {
  WorkerRun run(nullptr, bash("seq 60000"));
  CHECK(run.wait_for_exit() == 0);
  CHECK(has(run.log(), "\n60000\n"));
  CHECK(has(run.log(), "left out"));
  CHECK(!has(run.log(), run.folder().runtime_dir().string()));
  CHECK(runtime_files(run).empty());
}

TEST_CASE("tool: a result that can't be written is an error") {
  for (const char* command : {"echo hi", "seq 60000"}) {
    CAPTURE(command);
    auto options = bash(command);
    options.output = "/dev/full";
    WorkerRun run(nullptr, options);
    CHECK(run.wait_for_exit() == 1);
  }
}

TEST_CASE("tool: descriptors 0 to 2 that are closed become /dev/null, and nothing else gets their numbers") {
  for (const char* closed : {"exec 2>&-; ", "exec 0<&- 2>&-; ", "exec 0<&- 1>&- 2>&-; "}) {
    CAPTURE(closed);
    WorkerRun run(nullptr, bash("readlink /proc/$PPID/fd/{0,1,2} >links", after(closed)));
    CHECK(run.wait_for_exit() == 0);
    const bool all = has(closed, "1>");
    CHECK(file_text(run, "links") ==
          fmt::format("/dev/null\n{}\n/dev/null\n", all ? "/dev/null" : run.folder().log().string()));
  }
}

TEST_CASE("tool: a low soft limit on open files is raised; a hard one that is too low is told") {
  WorkerRun raised(nullptr, bash("echo fine", after("ulimit -Sn 24; ")));
  CHECK(raised.wait_for_exit() == 0);
  CHECK(raised.log() == "fine\n");
  WorkerRun refused(nullptr, bash("echo fine", after("ulimit -n 100; ")));
  CHECK(refused.wait_for_exit() == 2);
  CHECK(refused.log() ==
        "sandbox-worker: the hard limit on open files (ulimit -Hn) is 100, but 256 are needed\n");
}
