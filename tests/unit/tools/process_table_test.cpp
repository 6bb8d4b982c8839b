#include "tools/process_table.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <thread>
#include <vector>

using namespace sandbox_worker::tools;

namespace {

/// A child of the calling thread that does nothing until it is ended.
class Child {
 public:
  Child() : pid_(::fork()) {
    if (pid_ != 0) return;
    ::pause();
    ::_exit(0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { end(); }

  void end() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

bool has(const std::vector<pid_t>& pids, pid_t pid) {
  return std::ranges::find(pids, pid) != pids.end();
}

}  // namespace

TEST_CASE("process table: a child list tells what there is at each look") {
  const ChildList list(::getpid());
  Child first;
  CHECK(has(list.of_main_thread(), first.pid()));
  CHECK(has(list.of_all_threads(), first.pid()));
  const Child second;
  CHECK(has(list.of_main_thread(), second.pid()));
  CHECK(list.of_all_threads() == children_of(::getpid()));
  const pid_t gone = first.pid();
  first.end();
  CHECK_FALSE(has(list.of_main_thread(), gone));
  CHECK(has(list.of_main_thread(), second.pid()));
}

TEST_CASE("process table: children of another thread are in the list of all threads") {
  const ChildList list(::getpid());
  std::thread([&] {
    const Child child;
    CHECK(has(list.of_all_threads(), child.pid()));
    CHECK_FALSE(has(list.of_main_thread(), child.pid()));
  }).join();
}

TEST_CASE("process table: more children than one read tells") {
  const ChildList list(::getpid());
  std::vector<Child> children(1100);
  std::vector<pid_t> pids;
  for (const Child& child : children) {
    REQUIRE(child.pid() > 0);
    pids.push_back(child.pid());
  }
  std::vector<pid_t> told = list.of_main_thread();
  std::ranges::sort(told);
  std::ranges::sort(pids);
  CHECK(std::ranges::includes(told, pids));
}

TEST_CASE("process table: the list of a process that has ended is empty") {
  Child child;
  const ChildList list(child.pid());
  CHECK(list.of_all_threads().empty());
  child.end();
  CHECK(list.of_main_thread().empty());
  CHECK(list.of_all_threads().empty());
}
