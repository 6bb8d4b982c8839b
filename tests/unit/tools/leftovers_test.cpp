#include "tools/leftovers.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "tools/bash_process.hpp"

using namespace sandbox_worker::tools;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kFamily = (1ULL << 62U) | (7ULL << 20U);
constexpr std::uint64_t kOther = (1ULL << 62U) | (8ULL << 20U);
constexpr pid_t kSelf = 10;

struct Row {
  pid_t pid;
  pid_t parent;
  pid_t session;
  std::uint64_t start_time;
  std::uint64_t tag;
  char state = 'S';
};

std::vector<pid_t> chosen(const std::vector<Row>& rows, const WorkerTrace& trace) {
  std::vector<TaggedProcess> processes;
  for (const auto& row : rows) {
    processes.push_back({ProcessInfo{.pid = row.pid,
                                     .parent = row.parent,
                                     .session = row.session,
                                     .state = row.state,
                                     .begun = row.start_time},
                         row.tag});
  }
  std::vector<pid_t> pids;
  for (const auto& process : leftovers_among(processes, trace, kSelf)) pids.push_back(process.pid);
  return pids;
}

using Pids = std::vector<pid_t>;

}  // namespace

TEST_CASE("leftovers: what has a mark of the family counts, in any session, and what is below it") {
  const WorkerTrace trace{.tag_families = {kFamily}, .shells = {}};
  CHECK(chosen({{1, 0, 1, 1, 0},
                {kSelf, 1, kSelf, 5, 0},
                {20, 1, 99, 5, kFamily + 1},
                {21, 1, 21, 5, kFamily + 9},
                {22, 21, 22, 5, 0},                // shed both mark and session, but its parent is known
                {23, 1, 99, 5, kFamily + 1, 'Z'},  // has ended
                {30, 1, 30, 5, kOther + 1},        // another worker's
                {31, 1, 31, 5, 0},
                {32, 1, 32, 5, ~0ULL},  // no limit at all
                {33, 1, 33, 5, 1000}},  // a limit that somebody really meant
               trace) == Pids{20, 21, 22});
}

TEST_CASE("leftovers: a session counts while its shell lives, and a recycled id never does") {
  const WorkerTrace trace{.tag_families = {}, .shells = {{100, 50}}};
  CHECK(chosen({{100, 1, 100, 50, 0}, {101, 1, 100, 60, 0}}, trace) == Pids{100, 101});
  CHECK(chosen({{100, 1, 100, 51, 0}, {101, 1, 100, 60, 0}}, trace).empty());
  CHECK(chosen({{101, 1, 100, 60, 0}}, trace).empty());
}

TEST_CASE("leftovers: the process itself and what is above it are spared") {
  // A worker that an agent's command has started.
  const WorkerTrace trace{.tag_families = {kFamily}, .shells = {}};
  CHECK(chosen({{1, 0, 1, 1, 0},
                {5, 1, 5, 2, kFamily + 1},
                {6, 5, 5, 3, kFamily + 1},
                {kSelf, 5, kSelf, 5, kFamily + 1}},
               trace) == Pids{6});
}

TEST_CASE("leftovers: processes that escaped their session are ended, others are not") {
  // Children inherit the mark whatever they do.
  const std::uint64_t tag = new_process_tag();
  CHECK(family_of_tag(tag) == tag_family());
  const auto start = [&](bool marked) {
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    const pid_t pid = ::fork();
    if (pid == 0) {
      const rlimit mark{.rlim_cur = tag, .rlim_max = tag};
      if (marked) ::setrlimit(RLIMIT_RTTIME, &mark);
      ::setsid();
      if (::write(ready[1], "y", 1) == 1) ::pause();
      ::_exit(0);
    }
    char told = 0;
    REQUIRE(::read(ready[0], &told, 1) == 1);
    ::close(ready[0]);
    ::close(ready[1]);
    return pid;
  };
  const pid_t marked = start(true);
  const pid_t unmarked = start(false);
  const WorkerTrace trace{.tag_families = {tag_family()}, .shells = {}};
  const auto outcome = end_leftovers(trace, 5s, {});
  CHECK(outcome.ended >= 1);
  CHECK(outcome.left == 0);
  int status = 0;
  REQUIRE(::waitpid(marked, &status, 0) == marked);
  CHECK(WTERMSIG(status) == SIGKILL);
  CHECK(::waitpid(unmarked, &status, WNOHANG) == 0);
  ::kill(unmarked, SIGKILL);
  ::waitpid(unmarked, nullptr, 0);
}

TEST_CASE("leftovers: without a trace nothing is looked at") {
  CHECK(end_leftovers({}, 5s, {}).ended == 0);
}

TEST_CASE("process table: a start time names this process") {
  const auto info = process_info(::getpid());
  REQUIRE(info);
  CHECK(info->begun > 0);
  CHECK(info->session == ::getsid(0));
  CHECK(info->parent == ::getppid());
  CHECK_FALSE(boot_id().empty());
}
