#include "tools/oom_watch.hpp"

#include <doctest/doctest.h>

#include "tests/support/temp_dir.hpp"
#include "tools/bash_report.hpp"

using namespace sandbox_worker::tools;
using sandbox_worker::testing::TempDir;

namespace {

constexpr const char* kV1 = "oom_kill_disable 0\nunder_oom 0\noom_kill ";
constexpr const char* kV2 = "low 0\nhigh 3\nmax 7\noom 5\noom_group_kill 9\noom_kill ";
constexpr const char* kMachine = "pgfault 123456789\noom_kill ";

void write_count(const TempDir& root, const std::string& file, const char* before, int count) {
  root.write(file, before + std::to_string(count) + "\n");
}

}  // namespace

TEST_CASE("oom: the counter of our control group is preferred, the machine's is the last") {
  struct Row {
    const char* cgroups;
    std::vector<std::string> files;
  };
  for (const auto& row : {
           Row{"0::/a/b\n", {"/r/sys/fs/cgroup/a/b/memory.events", "/r/sys/fs/cgroup/memory.events"}},
           Row{"0::/\n", {"/r/sys/fs/cgroup/memory.events"}},
           Row{"4:memory:/a\n2:cpu,cpuacct:/\n",
               {"/r/sys/fs/cgroup/memory/a/memory.oom_control",
                "/r/sys/fs/cgroup/memory/memory.oom_control"}},
           Row{"4:hugetlb,memory:/\n0::/\n",
               {"/r/sys/fs/cgroup/memory/memory.oom_control", "/r/sys/fs/cgroup/memory.events"}},
           Row{"4:notmemory:/a\nnonsense\n::\n", {"/r/sys/fs/cgroup/memory.events"}},
           Row{"", {}},
       }) {
    CAPTURE(row.cgroups);
    auto expected = row.files;
    expected.emplace_back("/r/proc/vmstat");
    CHECK(oom_counter_files(row.cgroups, "/r") == expected);
  }
}

TEST_CASE("oom: the count is the line of that name") {
  CHECK(oom_kills_in(std::string(kV1) + "4\n") == 4);
  CHECK(oom_kills_in(std::string(kV2) + "5") == 5);
  CHECK(oom_kills_in(std::string(kMachine) + "6\nother 7\n") == 6);
  CHECK_FALSE(oom_kills_in("oom_kill_disable 0\nunder_oom 0\n"));
  CHECK_FALSE(oom_kills_in("oom_kill many\n"));
  CHECK_FALSE(oom_kills_in("oom_kill 1 2\n"));
  CHECK_FALSE(oom_kills_in(""));
}

TEST_CASE("oom: the first file that counts is read, anew each time") {
  struct Row {
    const char* cgroups;
    const char* file;
    const char* before;
  };
  for (const auto& row : {Row{"0::/a\n", "sys/fs/cgroup/a/memory.events", kV2},
                          Row{"0::/of-the-host\n", "sys/fs/cgroup/memory.events", kV2},
                          Row{"4:memory:/a\n0::/\n", "sys/fs/cgroup/memory/a/memory.oom_control", kV1},
                          Row{"4:memory:/a\n0::/\n", "proc/vmstat", kMachine}}) {
    CAPTURE(row.file);
    TempDir root;
    root.write("proc/self/cgroup", row.cgroups);
    write_count(root, "proc/vmstat", kMachine, 100);
    write_count(root, row.file, row.before, 7);
    const OomCounter counter(root.path().string());
    CHECK(counter.read() == 7);
    write_count(root, row.file, row.before, 8);
    CHECK(counter.read() == 8);
  }
  const TempDir nothing;
  CHECK(OomCounter(nothing.path().string()).read() == 0);
}

TEST_CASE("oom: a kill is put down to memory only when it was one and the kernel counted") {
  using Kind = CallEnding::Kind;
  const NextShell next{.directory = "/w"};
  const auto says = [&](Kind kind, int status, bool counted) {
    const auto text = describe({.kind = kind, .status = status, .out_of_memory = counted}, next);
    return text.find("killed: out of memory") != std::string::npos;
  };
  CHECK(says(Kind::ended, 137, true));
  CHECK_FALSE(says(Kind::ended, 137, false));
  CHECK_FALSE(says(Kind::ended, 143, true));
  CHECK_FALSE(says(Kind::ended, 0, true));
  CHECK(says(Kind::died, 9, true));
  CHECK_FALSE(says(Kind::died, 9, false));
  CHECK_FALSE(says(Kind::died, 15, true));
  CHECK_FALSE(says(Kind::died, 137 << 8, true));
  CHECK_FALSE(says(Kind::stuck, 0, true));
}
