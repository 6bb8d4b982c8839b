// Stopping calls: by a time limit, by an interrupt, at the end.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>
#include <fstream>
#include <string>

#include "tests/support/bash_lane.hpp"

using namespace std::chrono_literals;
using namespace sandbox_worker::tools;
using sandbox_worker::testing::BashLane;
using sandbox_worker::testing::runs;

namespace {

using Lane = BashLane;
using Seconds = std::chrono::duration<double>;

/// Writes down when a signal came, and goes on. Its loop is made of builtins only.
constexpr const char* kDeaf =
    "exec bash -c 'for s in INT TERM; do trap \"echo \\$EPOCHREALTIME >>$s\" $s; done;"
    " echo $$ >deaf; exec 3<> <(:); echo begun; touch ready; while :; do read -t 0.01 -u 3; done'";

std::string in_foreground(const std::string& program) {
  return "(" + program + ")";
}

/// The times in a file, in seconds since the epoch.
std::vector<double> times_in(const std::string& path) {
  std::ifstream file(path);
  std::vector<double> times;
  for (double time = 0; file >> time;) times.push_back(time);
  return times;
}

double now() {
  return Seconds(std::chrono::system_clock::now().time_since_epoch()).count();
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("bash: a time limit stops the foreground, keeps the shell and what was printed") {
  // The second one needs another line of ours.
  for (const std::string comment : {"", " # builtin function"}) {
    CAPTURE(comment);
    Lane lane;
    lane.text("v=kept; cd /; sleep 1000 & echo $! >$OLDPWD/old");
    const auto answer =
        lane.call({{"command", "cd ~-; echo begun; sleep 1001 & echo $! >new; sleep 1002" + comment},
                   {"timeout_ms", 300}});
    CHECK(answer.is_error);
    CHECK(answer.text.starts_with("begun\n"));
    CHECK(contains(answer.text, "[timed out after 300 ms"));
    CHECK(contains(answer.text,
                   fmt::format("[still running in the background: {} sleep 1001]", lane.pid_in("new"))));
    CHECK(lane.text("echo $v; pwd") == "kept\n" + lane.dir.path().string() + "\n");
    CHECK(runs(lane.pid_in("old")));
    CHECK(runs(lane.pid_in("new")));
  }
}

TEST_CASE("bash: a time limit sends INT, TERM and KILL, 2 s apart, each once") {
  Lane lane;
  lane.text("v=kept");
  // It begins only when another bash has parsed it.
  const auto answer = lane.call({{"command", in_foreground(kDeaf)}, {"timeout_ms", 3000}});
  const double end = now();
  CAPTURE(answer.text);
  CHECK(answer.text.starts_with("begun\n"));
  CHECK(contains(answer.text, "[timed out after 3 s"));
  CHECK(answer.text.ends_with("[exit status 137: SIGKILL]"));
  const auto interrupted = times_in(lane.path("INT"));
  const auto asked = times_in(lane.path("TERM"));
  REQUIRE(interrupted.size() == 1);
  REQUIRE(asked.size() == 1);
  CHECK(asked[0] - interrupted[0] > 1.5);
  CHECK(asked[0] - interrupted[0] < 6);
  CHECK(end - asked[0] > 1.5);
  CHECK(end - asked[0] < 6);
  CHECK_FALSE(runs(lane.pid_in("deaf")));
  CHECK(lane.text("echo $v") == "kept\n");
}

TEST_CASE("bash: an interrupt sends INT, TERM and KILL, 300 ms apart") {
  Lane lane;
  lane.text("v=kept");
  const auto answer = lane.call_cancelled_at("ready", {{"command", in_foreground(kDeaf)}});
  const double end = now();
  CAPTURE(answer.text);
  CHECK(answer.is_error);
  CHECK(answer.text.starts_with("begun\n"));
  CHECK(contains(
      answer.text,
      "[interrupted: what ran in the foreground was stopped, and bash went on with whatever follows it "
      "in the command; may have taken effect]"));
  const auto interrupted = times_in(lane.path("INT"));
  const auto asked = times_in(lane.path("TERM"));
  REQUIRE(interrupted.size() == 1);
  REQUIRE(asked.size() == 1);
  CHECK(asked[0] - interrupted[0] > 0.2);
  CHECK(asked[0] - interrupted[0] < 1.5);
  CHECK(end - asked[0] > 0.2);
  CHECK(end - asked[0] < 1.5);
  CHECK_FALSE(runs(lane.pid_in("deaf")));
  CHECK(lane.text("echo $v") == "kept\n");
}

TEST_CASE("bash: an interrupt cuts the stages of a time limit that is over") {
  Lane lane;
  const auto begun = std::chrono::steady_clock::now();
  const auto answer =
      lane.call_cancelled_at("INT", {{"command", in_foreground(kDeaf)}, {"timeout_ms", 3000}});
  CHECK(contains(answer.text, "[timed out after 3 s"));
  CHECK(std::chrono::steady_clock::now() - begun < 6200ms);  // not 7 s
}

TEST_CASE("bash: at the end there is TERM, and KILL 300 ms later") {
  Lane lane;
  lane.text(std::string("(") + kDeaf + ") & until [ -e ready ]; do :; done");
  const pid_t deaf = lane.pid_in("deaf");
  REQUIRE(runs(deaf));
  lane.close();
  const double end = now();
  CHECK_FALSE(runs(deaf));
  const auto asked = times_in(lane.path("TERM"));
  REQUIRE(asked.size() == 1);
  CHECK(times_in(lane.path("INT")).empty());
  CHECK(end - asked[0] > 0.2);
  CHECK(end - asked[0] < 1.5);
}

TEST_CASE("bash: a larger timeout_ms than allowed is cut, and the answer says so") {
  Limits limits;
  limits.max_tool_timeout = 1500ms;
  Lane lane({.limits = limits});
  CHECK(lane.call({{"command", "echo fine"}, {"timeout_ms", 1500}}).text == "fine\n");
  CHECK(lane.call({{"command", "echo fine"}, {"timeout_ms", 9'000'000'000'000}}).text ==
        "fine\n[timeout_ms was cut to the most that is allowed, 1500 ms]");
  const auto answer = lane.call({{"command", "echo begun; sleep 1000"}, {"timeout_ms", 60'000}});
  CHECK(answer.text.starts_with("begun\n[timeout_ms was cut to the most that is allowed, 1500 ms]\n"));
  CHECK(contains(answer.text, "[timed out after 1500 ms: "));
}

TEST_CASE("bash: a call without timeout_ms has the default limit, as far as that is allowed") {
  Limits limits;
  limits.default_tool_timeout = 300ms;
  CHECK(contains(Lane({.limits = limits}).call({{"command", "sleep 1000"}}).text, "[timed out after 300 ms"));
  limits.default_tool_timeout = 1h;
  limits.max_tool_timeout = 400ms;
  CHECK(contains(Lane({.limits = limits}).call({{"command", "sleep 1000"}}).text, "[timed out after 400 ms"));
}

TEST_CASE("bash: a limit of 0 is none") {
  Limits limits;
  limits.default_tool_timeout = 0ms;
  CHECK(Lane({.limits = limits}).call({{"command", "sleep 0.1; echo fine"}}).text == "fine\n");
  limits.max_tool_timeout = 0ms;
  Lane lane({.limits = limits});
  CHECK(lane.call({{"command", "sleep 0.1; echo fine"}}).text == "fine\n");
  CHECK(lane.call({{"command", "sleep 0.1; echo fine"}, {"timeout_ms", 5'000'000'000}}).text == "fine\n");
  CHECK(
      contains(lane.call({{"command", "sleep 1000"}, {"timeout_ms", 100}}).text, "[timed out after 100 ms"));
}

TEST_CASE("bash: a limit stops each command of a list, pipelines and substitutions too") {
  for (const std::string command :
       {"sleep 1000; touch next; sleep 1000", "yes | sleep 1000 | cat", "echo $(sleep 1000)",
        "echo $(sleep 1000 </dev/null)", "sleep 1000 </dev/null", "cat <(sleep 1000)",
        "(sleep 1000; sleep 1001)"}) {
    CAPTURE(command);
    Lane lane;
    lane.text("v=kept");
    const auto answer = lane.call({{"command", command}, {"timeout_ms", 200}});
    CHECK(contains(answer.text, "[timed out after 200 ms"));
    CHECK(lane.text("echo $v") == "kept\n");
  }
}

TEST_CASE(
    "bash: a shell that goes on after the limit says so, or is ended where it does not come to an end") {
  Lane lane;
  CHECK(contains(lane.call({{"command", "sleep 1000; touch next"}, {"timeout_ms", 200}}).text,
                 "was stopped, and bash went on with whatever follows it in the command; the output"));
  const auto begun = std::chrono::steady_clock::now();
  const auto answer =
      lane.call({{"command", "while :; do echo round; sleep 0.5; done"}, {"timeout_ms", 200}});
  CAPTURE(answer.text);
  CHECK(contains(answer.text, "[the shell itself was busy or went on, so it was ended as well; "));
  CHECK_FALSE(contains(answer.text, "went on with"));
  CHECK(std::chrono::steady_clock::now() - begun < 2s);  // not all stages
  CHECK(lane.text("echo alive") == "alive\n");
}

TEST_CASE("bash: what a stopped program starts to tidy up isn't stopped with it") {
  Lane lane;
  const auto answer =
      lane.call({{"command", "bash -c 'trap \"sleep 0.3 && echo tidy; exit 1\" INT; sleep 1000'"},
                 {"timeout_ms", 200}});
  CHECK(answer.text.starts_with("tidy\n"));
}

TEST_CASE("bash: a job stays that the shell was waiting for when the time was up; that costs the shell") {
  Lane lane;
  const auto answer = lane.call_cancelled_at(
      "job", {{"command",
               "sleep 1000 & until grep -q sleep /proc/$!/comm; do :; done; echo $! >job; wait; echo no"}});
  CAPTURE(answer.text);
  CHECK(contains(answer.text, "[the shell itself was busy or went on, so it was ended as well; "));
  CHECK(runs(lane.pid_in("job")));
  CHECK(lane.text("echo alive") == "alive\n");
}

TEST_CASE("bash: a job stays whatever its input is, when the shell waits for it or for something else") {
  for (const std::string job : {"sleep 1000 <file", "perl -e 'fork or exit; sleep 1000'"}) {
    for (const std::string then : {"wait", "sleep 1000"}) {
      CAPTURE(job);
      CAPTURE(then);
      Lane lane;
      lane.text("echo text >file");
      const auto begun = std::chrono::steady_clock::now();
      const auto answer = lane.call({{"command", job + " & echo $! >job; " + then}, {"timeout_ms", 200}});
      CHECK(contains(answer.text, "[timed out after 200 ms"));
      CHECK(runs(lane.pid_in("job")));
      CHECK(std::chrono::steady_clock::now() - begun < 4s);  // not all stages
    }
  }
}

TEST_CASE("bash: a pipeline in the background stays, whatever the shell does") {
  for (const std::string then :
       {"sleep 0.2; while :; do sleep 1000; done", "wait", "while :; do :; done",
        "perl -e '$SIG{INT} = sub {}; sleep 1; sleep 1000'", "sleep 1001 </dev/null"}) {
    CAPTURE(then);
    Lane lane;
    const auto answer = lane.call(
        {{"command", "sleep 1002 | cat & echo $! >cat; jobs -p >sleep; " + then}, {"timeout_ms", 300}});
    CAPTURE(answer.text);
    CHECK(contains(answer.text, "[timed out after 300 ms"));
    CHECK(runs(lane.pid_in("cat")));
    CHECK(runs(lane.pid_in("sleep")));
  }
}

TEST_CASE("bash: all of a pipeline in the foreground is stopped if something in it hears of it") {
  Lane lane;
  const auto answer = lane.call(
      {{"command", "v=kept; (trap '' INT QUIT; exec sleep 1000) </dev/null | cat"}, {"timeout_ms", 300}});
  CAPTURE(answer.text);
  CHECK_FALSE(contains(answer.text, "still running"));
  CHECK(lane.text("echo $v") == "kept\n");
}

TEST_CASE("bash: children of a program that has taken the shell's place are stopped with it") {
  Lane lane;
  const auto answer = lane.call_cancelled_at(
      "child", {{"command",
                 "exec perl -e '$SIG{INT} = $SIG{TERM} = \"IGNORE\"; if (!fork) { exec \"sh\", \"-c\", "
                 "\"echo \\$\\$ >child; exec sleep 1000\" } sleep 1000'"}});
  CAPTURE(answer.text);
  CHECK_FALSE(contains(answer.text, "still running"));
  CHECK_FALSE(runs(lane.pid_in("child")));
}

TEST_CASE("bash: a program that waits in system(3) is in the foreground wherever its input comes from") {
  for (const char* command :
       {"perl -e 'system(\"sleep 1000; true\")'", "perl -e 'system(\"sleep 1000; true\")' <file",
        "echo x | awk '{system(\"sleep 1000; true\")}'",
        "cat file | perl -e 'system(\"sleep 1000\")' | cat"}) {
    CAPTURE(std::string(command));
    Lane lane;
    lane.text("v=kept; echo text >file");
    const auto answer = lane.call({{"command", command}, {"timeout_ms", 300}});
    CAPTURE(answer.text);
    CHECK(contains(answer.text, "[timed out after 300 ms"));
    CHECK_FALSE(contains(answer.text, "still running"));
    CHECK(lane.text("echo $v") == "kept\n");
  }
}

TEST_CASE("bash: a program that ignores the keyboard's signals hears of TERM") {
  Lane lane;
  lane.text("v=kept");
  const auto answer = lane.call_cancelled_at(
      "ready", {{"command",
                 "perl -e '$SIG{INT} = $SIG{QUIT} = \"IGNORE\"; $SIG{TERM} = sub { print \"tidy\\n\"; "
                 "exit 5 }; open(F, \">ready\"); sleep 1000'"}});
  CHECK(answer.text.starts_with("tidy\n"));
  CHECK(lane.text("echo $v") == "kept\n");
}

TEST_CASE(
    "bash: a server in the background stays though it isn't deaf, as node, redis and others make "
    "themselves") {
  Lane lane;
  const auto answer = lane.call_cancelled_at(
      "ready", {{"command",
                 "v=kept; perl -e '$SIG{INT} = \"DEFAULT\"; open(F, \">ready\"); sleep 1000' & "
                 "echo $! >job; sleep 1001"}});
  CAPTURE(answer.text);
  CHECK(contains(answer.text, fmt::format("[still running in the background: {} perl", lane.pid_in("job"))));
  CHECK(runs(lane.pid_in("job")));
  CHECK(lane.text("echo $v") == "kept\n");
}

TEST_CASE("bash: what was killed isn't told as running") {
  Lane lane;
  const auto answer = lane.call_cancelled_at(
      "ready", {{"command", "bash -c 'trap \"\" INT TERM; touch ready; while :; do sleep 3.3; done'"}});
  CHECK(contains(answer.text, "[interrupted"));
  CHECK_FALSE(contains(answer.text, "still running"));
  CHECK(lane.text("echo next") == "next\n");
}

TEST_CASE("bash: where no signal reaches anybody, the shell is ended soon") {
  for (const char* command : {"mkfifo fifo; echo x >fifo", "read -d x </dev/zero", "while :; do :; done"}) {
    CAPTURE(std::string(command));
    Lane lane;
    const auto begun = std::chrono::steady_clock::now();
    const auto answer = lane.call({{"command", command}, {"timeout_ms", 200}});
    CHECK(contains(answer.text, "[the shell itself was busy"));
    CHECK(std::chrono::steady_clock::now() - begun < 4s);
  }
}

TEST_CASE("bash: a program that has taken the shell's place gets the signals; jobs stay") {
  Lane lane;
  const auto answer = lane.call({{"command",
                                  "sleep 1000 & echo $! >job; "
                                  "exec bash -c 'trap \"sleep 0.4; echo saved; exit 5\" INT; touch ready; "
                                  "while :; do sleep 0.01; done'"},
                                 {"timeout_ms", 500}});
  REQUIRE(lane.has("ready"));
  CHECK_MESSAGE(answer.text.starts_with("saved\n"), answer.text);
  CHECK(contains(answer.text, "[timed out after 500 ms: "));
  CHECK(contains(answer.text, "[the shell ended with exit status 5; "));
  CHECK(runs(lane.pid_in("job")));
}

TEST_CASE("bash: with job control the newest job is the foreground") {
  Lane lane;
  lane.text("set -m; v=kept");
  const auto answer =
      lane.call({{"command", "sleep 1000 & echo $! >job; (echo $BASHPID >front; exec sleep 1001) | cat"},
                 {"timeout_ms", 300}});
  CHECK(contains(answer.text, "[timed out after 300 ms"));
  CHECK(runs(lane.pid_in("job")));
  CHECK_FALSE(runs(lane.pid_in("front")));
  CHECK(lane.text("echo $v") == "kept\n");
}

TEST_CASE("bash: a foreground program that is as deaf as a job is killed at last") {
  Lane lane;
  lane.text("v=kept; sleep 1000 & echo $! >job");
  const auto answer = lane.call_cancelled_at(
      "deaf", {{"command", "bash -c 'trap \"\" INT QUIT TERM; echo $$ >deaf; while :; do sleep 0.1; done'"}});
  CHECK(answer.text.ends_with("[exit status 137: SIGKILL]"));
  CHECK_FALSE(runs(lane.pid_in("deaf")));
  CHECK(runs(lane.pid_in("job")));
  CHECK(lane.text("echo $v") == "kept\n");
}

TEST_CASE("bash: a loop in the shell itself costs the shell") {
  Lane lane;
  lane.text("cd /; export E=x");
  const auto answer =
      lane.call_cancelled_at("ready", {{"command", "echo begun; touch ~-/ready; while :; do :; done"}});
  CHECK(answer.text.starts_with("begun\n[interrupted; may have taken effect]\n"));
  CHECK(contains(answer.text, "the shell itself was busy"));
  CHECK(lane.text("pwd; echo $E") == "/\nx\n");
}
