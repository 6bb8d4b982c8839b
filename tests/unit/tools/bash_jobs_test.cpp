// What calls leave running: told once, heard of later, gone at the end.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <sstream>
#include <string>

#include "tests/support/bash_lane.hpp"
#include "tests/support/left_out.hpp"
#include "tools/control_group.hpp"
#include "tools/jobs.hpp"
#include "tools/process_table.hpp"
#include "tools/unique_fd.hpp"

using namespace std::chrono_literals;
using namespace sandbox_worker::tools;
using sandbox_worker::testing::BashLane;
using sandbox_worker::testing::leave_out;
using sandbox_worker::testing::runs;

namespace {

using Lane = BashLane;

std::string running(pid_t pid, std::string_view command) {
  return fmt::format("[still running in the background: {} {}]", pid, command);
}

/// Children of this process that run, and what is below them.
std::size_t processes_left() {
  std::vector<pid_t> found{::getpid()};
  for (std::size_t at = 0; at < found.size(); ++at)
    for (const pid_t child : children_of(found[at]))
      if (runs(child)) found.push_back(child);
  return found.size() - 1;
}

/// A process that lets another one go on as it likes, but holds up its end for a while, as a busy machine
/// may. Not a thread: what it waits for would go to the tools instead.
class SlowDeath {
 public:
  SlowDeath(pid_t victim, std::chrono::milliseconds delay) {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const UniqueFd read(ends[0]);
    UniqueFd write(ends[1]);
    tracer_ = ::fork();
    if (tracer_ == 0) trace(victim, static_cast<int>(delay.count()), write.get());
    write.reset();
    char ready = 0;
    works_ = ::read(read.get(), &ready, 1) == 1;
  }
  SlowDeath(const SlowDeath&) = delete;
  SlowDeath& operator=(const SlowDeath&) = delete;
  ~SlowDeath() {
    ::kill(tracer_, SIGKILL);
    ::waitpid(tracer_, nullptr, 0);
  }

  /// False where processes may not be traced.
  bool works() const { return works_; }

 private:
  [[noreturn]] static void trace(pid_t victim, int milliseconds, int ready) {
    if (::ptrace(PTRACE_SEIZE, victim, nullptr, PTRACE_O_TRACEEXIT) != 0 || ::write(ready, "", 1) != 1)
      ::_exit(1);
    int status = 0;
    while (::waitpid(victim, &status, __WALL) == victim && WIFSTOPPED(status)) {
      const bool ends = status >> 16 == PTRACE_EVENT_EXIT;
      const bool signal = status >> 16 == 0;
      if (ends) ::poll(nullptr, 0, milliseconds);
      ::ptrace(PTRACE_CONT, victim, nullptr, signal ? WSTOPSIG(status) : 0);
    }
    ::_exit(0);
  }

  pid_t tracer_ = -1;
  bool works_ = false;
};

}  // namespace

TEST_CASE("bash: a background job that holds stdout does not delay the result, and is listed once") {
  struct Row {
    const char* start;  // the job writes its number into a file
    const char* command;
  };
  for (const auto& row : {
           Row{"sleep 1000 & echo $! >pid", "sleep 1000"},
           Row{"sleep 1000 & echo $! >pid; disown", "sleep 1000"},
           Row{"nohup sleep 1000 >out 2>&1 & echo $! >pid", "sleep 1000"},
           Row{"setsid sh -c 'echo $$ >pid; exec sleep 1000' &", "sleep 1000"},
           Row{"(sh -c 'echo $$ >pid; exec sleep 1000' &)", "sleep 1000"},
           Row{"(setsid sh -c 'echo $$ >pid; exec sleep 1000' &)", "sleep 1000"},
           Row{"sh -c 'setsid sh -c \"echo \\$\\$ >pid; exec sleep 1000\" &'", "sleep 1000"},
           Row{"(read <go) & echo $! >pid", "(subshell)"},
           Row{"set -m; sleep 1000 & echo $! >pid; set +m", "sleep 1000"},
       }) {
    CAPTURE(row.start);
    Lane lane;
    lane.text("mkfifo go");
    const auto begun = std::chrono::steady_clock::now();
    const auto text =
        lane.text(std::string(row.start) +
                  "\nuntil [ -s pid ] && p=$(<pid) && { [[ $(</proc/$p/cmdline) == sleep* ]] || [ -z '" +
                  (row.command[0] == '(' ? "" : "x") + "' ]; }; do :; done 2>/dev/null; echo hi");
    CHECK(std::chrono::steady_clock::now() - begun < 10s);
    CHECK(text == "hi\n" + running(lane.pid_in("pid"), row.command));
    CHECK(lane.text("echo next") == "next\n");
    CHECK(runs(lane.pid_in("pid")));
  }
}

TEST_CASE("bash: a daemon that its starter leaves behind is listed by the call that notices") {
  Lane lane;
  // The starter is listed first; its child becomes ours when it ends.
  lane.text("mkfifo go; sh -c 'sleep 1000 & echo $! >pid; read x <go' & until [ -s pid ]; do :; done");
  CHECK(lane.text("echo >go; wait; echo hi") == "hi\n" + running(lane.pid_in("pid"), "sleep 1000"));
  CHECK(lane.text("echo next") == "next\n");
}

TEST_CASE("bash: jobs of a shell that ends are listed, live on and are heard of") {
  Lane lane;
  const auto answer = lane.call({{"command",
                                  "(echo $BASHPID >pid; while [ ! -e go ]; do sleep 0.01; done; echo late; "
                                  "exec sleep 1000) & exit 3"}});
  REQUIRE(lane.until([&] { return lane.pid_in("pid") != 0; }));
  CHECK(answer.text.starts_with("[still running in the background: "));
  CHECK(answer.text.find("[the shell ended with exit status 3; ") != std::string::npos);
  lane.dir.write("go", "");
  REQUIRE(lane.until([&] { return command_line_of(lane.pid_in("pid")) == "sleep 1000"; }));
  CHECK(lane.text("echo now") ==
        "[printed by background jobs since the last call:]\nlate\n[end of that]\nnow\n");
  CHECK(runs(lane.pid_in("pid")));
}

TEST_CASE("bash: jobs of a shell that takes its time to die are listed by the call that ended it") {
  Lane lane;
  lane.text("echo $$ >shell");
  const SlowDeath slow(lane.pid_in("shell"), 300ms);
  if (!slow.works()) {
    leave_out("PTRACE");
    return;
  }
  const auto answer =
      lane.call_cancelled_at("ready", {{"command",
                                        "sleep 1000 & echo $! >pid; until grep -q sleep /proc/$!/comm; do :; "
                                        "done; touch ready; while :; do :; done"}});
  CHECK(answer.text.starts_with(running(lane.pid_in("pid"), "sleep 1000")));
  CHECK(lane.text("echo next") == "next\n");
}

TEST_CASE("bash: nothing that a job prints is lost while shells come and go") {
  constexpr int kLines = 3500;  // less than what a job may print between two calls
  Lane lane;
  std::string all = lane.text(
      fmt::format("export E=x; (for ((i = 0; i < {}; i++)); do echo $i; done; touch done) & :", kLines));
  while (!lane.has("done")) all += "\n" + lane.text("exit 3");
  all += "\n" + lane.text("echo .");
  int expected = 0;
  std::istringstream lines(all);
  for (std::string line; std::getline(lines, line);)
    if (!line.empty() && line.find_first_not_of("0123456789") == std::string::npos &&
        line == std::to_string(expected))
      ++expected;
  CHECK(expected == kLines);
}

TEST_CASE("bash: what background jobs print between calls comes with the next one, marked") {
  Lane lane;
  lane.text("(while [ ! -e go ]; do sleep 0.01; done; echo late; touch done) & disown");
  lane.dir.write("go", "");
  REQUIRE(lane.until([&] { return lane.has("done"); }));
  CHECK(lane.text("echo now") ==
        "[printed by background jobs since the last call:]\nlate\n[end of that]\nnow\n");
}

TEST_CASE("bash: what jobs print while another call runs is told from its own output") {
  const std::string job =
      "(for ((i = 0; i < 3; i++)); do read -r line <go; echo job$line; echo >back; done) ";
  const std::string own = "for i in 1 2 3; do echo call$i; echo $i >go; read -r line <back; done; echo end";
  const std::string expected =
      "[printed by background jobs since the last call:]\njob1\njob2\njob3\n[end of that]\n"
      "call1\ncall2\ncall3\nend\n";
  for (const std::string& start : {job + "&", job + "& disown", "set -m; " + job + "& set +m",
                                   "(" + job + "& )", "sh -c 'exec bash -c \"$1\"' sh '" + job + "' &"}) {
    CAPTURE(start);
    Lane lane;
    lane.text("mkfifo go back");
    lane.text("echo $$ >shell; " + start);
    CHECK(lane.text(own) == expected);
    CHECK(lane.text("echo $$ | cmp - shell") == "(no output)");
  }
}

TEST_CASE("bash: a job of each of many calls is told from the calls, as far as there are pipes") {
  Lane lane;
  const auto output = [&] { return lane.text("readlink /proc/self/fd/1"); };
  const std::string first = output();
  CHECK(output() == first);
  std::set<std::string> outputs{first};
  for (int i = 1; i <= 5; ++i) {
    lane.text(fmt::format("mkfifo go{0}; (read -r line <go{0}; echo late{0}; touch done{0}) & :", i));
    outputs.insert(output());
  }
  CHECK(outputs.size() == kOutputs);
  for (int i = 1; i <= 5; ++i) {
    lane.text(fmt::format("echo >go{}", i));
    REQUIRE(lane.until([&] { return lane.has(fmt::format("done{}", i)); }));
  }
  lane.text("wait");
  CHECK(lane.text("echo ok") == "ok\n");
  // Where no job is left, the pipe stays.
  const std::string last = output();
  CHECK(output() == last);
}

TEST_CASE("bash: the output of a job's orphan is told from a call's, whichever call notices it") {
  Lane lane;
  // The starter ends in the second call; its child has the pipe of the first one.
  lane.text("mkfifo go end back; sh -c '(read x <go; echo orphan; echo >back) & read x <end' & :");
  lane.text("echo >end; wait");
  CHECK(lane.text("echo call; echo >go; read x <back") ==
        "[printed by background jobs since the last call:]\norphan\n[end of that]\ncall\n");
}

TEST_CASE(
    "bash: the output of a job's child is told from a call's, also where the job itself prints elsewhere") {
  Lane lane;
  lane.text(
      "mkfifo go back end; sh -c '(read x <go; echo child; echo >back) & exec >/dev/null 2>&1; touch closed; "
      "read x <end' &");
  REQUIRE(lane.until([&] { return lane.has("closed"); }));
  CHECK(lane.text("echo call; echo >go; read x <back") ==
        "[printed by background jobs since the last call:]\nchild\n[end of that]\ncall\n");
}

TEST_CASE("bash: jobs that print elsewhere take no pipe") {
  Lane lane;
  const auto output = [&] { return lane.text("readlink /proc/self/fd/1"); };
  const std::string first = output();
  for (int i = 0; i < 6; ++i) lane.text("sleep 1000 >/dev/null 2>&1 & (sleep 1000 >log; :) >log 2>&1 & :");
  CHECK(output() == first);
  lane.text("sleep 1000 3>&1 >/dev/null 2>&1 &");
  CHECK(output() != first);
}

TEST_CASE(
    "bash: a command that has closed the output which a later call needs costs that one its shell only") {
  Lane lane;
  lane.text("exec 232>&-");
  lane.text("kept=1; sleep 1000 & :");
  const auto text = lane.text("echo ran$kept >>ran; cat ran");
  CHECK(text ==
        "[the shell no longer took commands after the last call (a disabled builtin, or its private "
        "descriptors closed); this is a fresh one, with directory, and with the exported variables of an "
        "earlier call]\nran\n");
  CHECK(lane.text("echo next") == "next\n");
}

TEST_CASE("bash: a command that closes the output of the next call costs the shell, which is said") {
  Lane lane;
  lane.text("sleep 1000 & :");
  const auto closed = lane.text("exec 232>&-; echo x");
  CHECK_MESSAGE(closed.starts_with("x\n"), closed);
  CHECK_MESSAGE(closed.find("[the shell no longer takes commands") != std::string::npos, closed);
  CHECK(lane.text("echo next") == "next\n");
  CHECK(lane.text("echo next") == "next\n");
}

TEST_CASE("bash: what bash says of a job that was killed between calls comes with one of the next") {
  Lane lane;
  lane.text("sleep 1000 & echo $! >pid");
  const pid_t job = lane.pid_in("pid");
  ::kill(job, SIGKILL);
  REQUIRE(lane.until([&] { return !process_info(job).has_value(); }));
  // bash says so when it next begins a line, which it may have done already.
  std::string text = lane.text("echo now");
  text += lane.text("echo $$ >shell");
  REQUIRE(
      lane.until([&] { return process_info(lane.pid_in("shell")).value_or(ProcessInfo()).state == 'S'; }));
  text += lane.text("echo then");
  const auto notice = fmt::format("[printed by background jobs since the last call:]\n{} Killed ", job);
  const auto at = text.find(notice);
  CHECK_MESSAGE(at != std::string::npos, text);
  CHECK_MESSAGE(text.find(notice, at + 1) == std::string::npos, text);
  CHECK_MESSAGE(text.find("sleep 1000\n[end of that]\n") != std::string::npos, text);
}

TEST_CASE("bash: what jobs have printed before a restart comes with its answer") {
  for (const bool with_command : {false, true}) {
    Lane lane;
    lane.text("(while [ ! -e go ]; do sleep 0.01; done; echo RESULT=42; touch done) & :");
    lane.dir.write("go", "");
    REQUIRE(lane.until([&] { return lane.has("done"); }));
    nlohmann::json input{{"restart", true}};
    if (with_command) input["command"] = "echo fresh";
    const auto answer = lane.call(input);
    CHECK(answer.text.starts_with(
        "[printed by background jobs since the last call:]\nRESULT=42\n[end of that]\n"));
    CHECK(answer.text.ends_with(with_command ? "fresh\n" : "as at the start."));
  }
}

TEST_CASE("bash: what jobs printed and a call's own output share one result's room") {
  for (const bool much : {false, true}) {
    Lane lane;
    lane.text("(while [ ! -e go ]; do sleep 0.01; done; seq 1 16000; touch done) & :");
    lane.dir.write("go", "");
    REQUIRE(lane.until([&] { return lane.has("done"); }));
    const auto text = lane.text(much ? "seq 100000 160000" : "seq 100000 100010");
    CHECK(text.size() < 101'000);
    CHECK(text.size() > (much ? 99'000 : 84'000));
    CHECK((text.find("characters left out") != std::string::npos) == much);
    CHECK(text.find("\n16000\n[end of that]\n100000\n") != std::string::npos);
    CHECK(text.ends_with(much ? "160000\n" : "100010\n"));
  }
}

TEST_CASE("bash: very many new jobs are counted, not all listed") {
  std::vector<Jobs::Job> jobs;
  for (pid_t pid = 1; pid <= 25; ++pid) jobs.push_back({pid, pid == 1 ? "" : "x"});
  const auto line = jobs_line(jobs);
  CHECK(line.starts_with("[still running in the background: 1 (subshell), 2 x, "));
  CHECK(line.ends_with(", 20 x and 5 more]"));
  CHECK(jobs_line({}).empty());
}

TEST_CASE("bash: after close nothing that commands started is left") {
  Lane lane;
  Lane other;
  other.text("sleep 1000 & echo $! >pid");
  const pid_t kept = other.pid_in("pid");
  lane.text("sleep 1000 & echo $! >one");
  lane.text("(setsid sh -c 'echo $$ >two; exec sleep 1000' &) ; while [ ! -s two ]; do sleep 0.01; done");
  lane.text(
      "(env -i setsid /bin/sh -c 'echo $$ >three; trap \"\" TERM; while :; do sleep 1; done' &);"
      "while [ ! -s three ]; do sleep 0.01; done");
  lane.text("for i in $(seq 200); do (setsid sleep 1000 &) ; done");
  for (const char* name : {"one", "two", "three"}) REQUIRE(runs(lane.pid_in(name)));
  lane.close();
  for (const char* name : {"one", "two", "three"}) CHECK_FALSE(runs(lane.pid_in(name)));
  CHECK(processes_left() == 2);  // the other lane's
  CHECK(runs(kept));
  CHECK(other.text("echo alive") == "alive\n");
  other.close();
  CHECK_FALSE(runs(kept));
  CHECK(processes_left() == 0);
}

TEST_CASE("bash: a fork bomb of 200 that restores itself is gone after close, with and without a group") {
  for (const bool leaves_group : {false, true}) {
    CAPTURE(leaves_group);
    Lane lane;
    // The group of all is where a process that has the right could have gone.
    const std::string leave =
        "for g in /proc/self/cgroup; do :; done; d=$(sed -n 's/^0:://p' /proc/self/cgroup);"
        " m=$(awk '$(NF-2) == \"cgroup2\" {print $5; exit}' /proc/self/mountinfo);"
        " [ -z \"$m\" ] || echo $BASHPID 2>/dev/null >$m${d%/*}/cgroup.procs; ";
    const auto started = lane.text("(" + (leaves_group ? leave : "") +
                                   "exec setsid " FORK_BOMB
                                   " 200 bomb) >/dev/null & "
                                   "until [ -s bomb ]; do sleep 0.01; done; echo up");
    REQUIRE(started.starts_with("up\n"));
    const pid_t first = lane.pid_in("bomb");
    REQUIRE(runs(first));
    lane.close();
    CHECK_FALSE(runs(first));
    CHECK(processes_left() == 0);
  }
}

TEST_CASE("bash: a destroyed tool takes its processes along, a fork bomb too") {
  std::optional<Lane> lane(std::in_place);
  lane->text(FORK_BOMB " 200 bomb >/dev/null & until [ -s bomb ]; do sleep 0.01; done");
  REQUIRE(processes_left() > 200);
  lane->bash.reset();
  CHECK(lane->until([&] { return processes_left() == 0; }));
}

TEST_CASE("bash: close of an idle lane, of one without a shell, and twice") {
  Lane lane;
  lane.close();
  CHECK(lane.text("echo hi") == "hi\n");
  lane.close();
  lane.close();
  CHECK(processes_left() == 0);
  CHECK(lane.text("echo again") == "again\n");
}

TEST_CASE("bash: commands run in a control group of their own where one can be made, removed at the end") {
  const auto probe = ControlGroup::make();
  if (!probe) {
    leave_out("CONTROL_GROUPS");
    return;
  }
  Lane lane;
  const auto text = lane.text("sed -n 's/^0:://p' /proc/self/cgroup");
  CHECK(text.find("/sandbox-worker-") != std::string::npos);
  const auto parent = std::filesystem::path(probe->path()).parent_path();
  const auto own = parent / std::filesystem::path(text.substr(0, text.size() - 1)).filename();
  CHECK(std::filesystem::exists(own));
  lane.close();
  CHECK_FALSE(std::filesystem::exists(own));
}

TEST_CASE("control group: an empty one of a worker that is gone is removed, one of a live worker stays") {
  const auto probe = ControlGroup::make();
  if (!probe) {
    leave_out("CONTROL_GROUPS");
    return;
  }
  const auto parent = std::filesystem::path(probe->path()).parent_path();
  const pid_t gone = ::fork();
  if (gone == 0) ::_exit(0);
  REQUIRE(::waitpid(gone, nullptr, 0) == gone);
  const auto abandoned = parent / fmt::format("sandbox-worker-{}-1", gone);
  const auto kept = parent / fmt::format("sandbox-worker-{}-9", ::getppid());
  REQUIRE(::mkdir(abandoned.c_str(), 0700) == 0);
  REQUIRE(::mkdir(kept.c_str(), 0700) == 0);
  const auto other = ControlGroup::make();
  CHECK_FALSE(std::filesystem::exists(abandoned));
  CHECK(std::filesystem::exists(kept));
  ::rmdir(kept.c_str());
}

TEST_CASE("control group: ours is found by what is mounted where") {
  struct Row {
    const char* mounts;
    const char* groups;
    const char* directory;
  };
  const char* whole = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
  const char* hybrid =
      "31 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
      "42 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
  for (const auto& row : {
           Row{whole, "0::/user.slice/one\n", "/sys/fs/cgroup/user.slice/one"},
           Row{whole, "0::/\n", "/sys/fs/cgroup"},
           Row{hybrid, "4:memory:/a\n0::/b\n", "/sys/fs/cgroup/unified/b"},
           Row{"30 23 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 c rw\n", "0::/docker/abc\n",
               "/sys/fs/cgroup"},
           Row{"30 23 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 c rw\n", "0::/docker/abc/d\n",
               "/sys/fs/cgroup/d"},
           Row{"30 23 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 c rw\n", "0::/docker/abcd\n", ""},
           Row{"30 23 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 c rw\n", "0::/other\n", ""},
           Row{whole, "0::/../outside\n", ""},
           Row{whole, "4:memory:/a\n", ""},
           Row{"31 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n", "0::/\n", ""},
           Row{"", "", ""},
           Row{"nonsense - cgroup2 \n", "0::/\n", ""},
       }) {
    CAPTURE(row.mounts);
    CAPTURE(row.groups);
    CHECK(own_control_group(row.mounts, row.groups).value_or("") == row.directory);
  }
}
