// What commands may do to their shell: it lasts, and harms neither the next call nor what we rely on.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/post.hpp>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <future>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/bash_lane.hpp"
#include "tests/support/left_out.hpp"
#include "tests/support/mount_namespace.hpp"
#include "tools/process_table.hpp"
#include "tools/shell_lines.hpp"
#include "tools/unique_fd.hpp"

using namespace sandbox_worker::tools;
using sandbox_worker::testing::BashLane;
using sandbox_worker::testing::in_mount_namespace;
using sandbox_worker::testing::leave_out;

namespace {

using Lane = BashLane;
using Clock = std::chrono::steady_clock;

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string functions(std::initializer_list<const char*> names) {
  std::string text;
  for (const char* name : names) text += fmt::format("function {} {{ \\builtin echo bad; }}; ", name);
  return text;
}

/// Stops a shell; whether it stands within a line of its control pipe then, or before one.
bool stop_reading(pid_t shell) {
  ::kill(shell, SIGSTOP);
  const auto give_up = Clock::now() + std::chrono::seconds(1);
  for (auto process = process_info(shell); process && process->state != 'T'; process = process_info(shell))
    if (process->ended() || Clock::now() > give_up) return false;
  const UniqueFd input(  // where bash keeps its script
      ::open(fmt::format("/proc/{}/fd/255", shell).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  int unread = 0;
  if (!input || ::ioctl(input.get(), FIONREAD, &unread) != 0) return false;
  return unread >= kUnreadBefore;
}

/// A command that another bash takes some tenths of a second to parse.
std::string slow_to_parse() {
  std::string command = "true $(if false; then\n";
  for (int i = 0; i < 40'000; ++i) command += "echo \"a$(echo b) 'c'\";\n";
  return command + "fi)";
}

}  // namespace

TEST_CASE("bash: what a call sets lasts, and the next call's answer is its own") {
  struct Row {
    std::string set;
    const char* ok;     // what `echo ok` gives in the next call
    const char* probe;  // says that the setting is still there
    const char* probed;
    const char* undo;
  };
  const std::vector<Row> rows = {
      {"set -x", "++ echo ok\nok\n", "[[ $- == *x* ]] && echo on", "on\n", "set +x"},
      {"set -v", "echo ok\nok\n", "[[ $- == *v* ]] && echo on", "on\n", "set +v"},
      {"set -u", "ok\n", "[[ $- == *u* ]] && echo on", "on\n", "set +u"},
      {"set -e", "ok\n", "[[ $- == *e* ]] && echo on", "on\n", "set +e"},
      {"set -f", "ok\n", "echo *", "*\n", "set +f"},
      {"set -a; v=1", "ok\n", "w=2; env | grep -e ^v= -e ^w= | sort", "v=1\nw=2\n", "set +a; unset v w"},
      {"set -C; >file", "ok\n", "echo >file || echo kept", "kept\n", "set +C; rm file"},
      {"set -k", "ok\n", "[[ $- == *k* ]] && echo on", "on\n", "set +k"},
      {"set -m", "ok\n", "[[ $- == *m* ]] && echo on", "on\n", "set +m"},
      {"set +B", "ok\n", "echo {a,b}", "{a,b}\n", "set -B"},
      {"set -E -T", "ok\n", "[[ $- == *E*T* ]] && echo on", "on\n", "set +E +T"},
      {"set +h", "ok\n", "[[ $- == *h* ]] || echo off", "off\n", "set -h"},
      {"set -o posix", "ok\n", "[[ -o posix ]] && echo on", "on\n", "set +o posix"},
      {"set -o pipefail", "ok\n", "false | true; echo $?", "1\n", "set +o pipefail"},
      {"set -o history", "ok\n", "[[ -o history ]] && echo on", "on\n", "set +o history"},
      {"shopt -s extdebug nullglob failglob", "ok\n", "shopt -q nullglob && echo on", "on\n",
       "shopt -u extdebug nullglob failglob"},
      {"shopt -s lastpipe xpg_echo extglob", "ok\n", "echo 'a\\tb'", "a\tb\n",
       "shopt -u lastpipe xpg_echo extglob"},
      {"trap 'echo D >&2' DEBUG", "D\nok\n", "trap -p DEBUG | tail -1", "trap -- 'echo D >&2' DEBUG\n",
       "trap - DEBUG"},
      {"trap 'echo E' ERR", "ok\n", "false", "E\n[exit status 1]", "trap - ERR"},
      {"trap 'echo R' RETURN", "ok\n", "trap -p RETURN", "trap -- 'echo R' RETURN\n", "trap - RETURN"},
      {"trap 'echo I' INT TERM; trap '' HUP", "ok\n", "kill -TERM $$; trap -p HUP", "I\ntrap -- '' SIGHUP\n",
       "trap - INT TERM HUP"},
      {"trap '' CHLD PIPE", "ok\n", "trap -p CHLD", "trap -- '' SIGCHLD\n", "trap - CHLD PIPE"},
      {"alias ll='echo aliased' echo='echo aliased'", "aliased ok\n", "ll", "aliased aliased\n",
       "unalias ll echo"},
      {"alias builtin=false eval=false printf=false export=false", "ok\n", "printf x || echo alias",
       "alias\n", "unalias -a"},
      {functions({"printf", "read",   "eval", "cd",    "unset",   "export", "command",
                  "exit",   "return", "set",  "trap",  "shopt",   ":",      "[",
                  "test",   "true",   "exec", "local", "declare", "source", "."}),
       "ok\n", "printf x; eval y; cd z", "bad\nbad\nbad\n",
       "\\builtin unset -f printf read eval cd unset export command exit return set trap shopt : [ test true "
       "exec local declare source ."},
      {functions({"builtin"}), "ok\n", "type -t builtin", "builtin\n", ":"},
      {"f() { echo f$1; }; v=1; export E=x; declare -A m=([k]=w); arr=(a b)", "ok\n",
       "f 2; echo $v $E ${m[k]} ${arr[1]}; env | grep ^E=", "f2\n1 x w b\nE=x\n",
       "unset -f f; unset v E m arr"},
      {"cd /; pushd /tmp >/dev/null", "ok\n", "pwd; dirs", "/tmp\n~ /\n", "popd >/dev/null"},
      {"umask 077", "ok\n", "umask", "0077\n", "umask 022"},
      {"IFS=k/0", "ok\n", "v=akb; echo $v", "a b\n", "IFS=$' \\t\\n'"},
      {"PATH=/nowhere", "ok\n", "echo $PATH; ls",
       "/nowhere\nbash: line 1: ls: command not found\n[exit status 127]", "PATH=/usr/bin:/bin"},
      {"unset PATH HOME PWD OLDPWD SHLVL _", "ok\n", "echo ${HOME-none}", "none\n", "PATH=/usr/bin:/bin"},
      {"PS4='$(echo traced) '; BASH_ENV=/nowhere; ENV=/nowhere; PROMPT_COMMAND='echo p'", "ok\n", "echo $ENV",
       "/nowhere\n", "unset PS4 BASH_ENV ENV PROMPT_COMMAND"},
      {"LC_ALL=C.UTF-8; LANG=C; TZ=UTC", "ok\n", "echo $LC_ALL", "C.UTF-8\n", "LC_ALL=C"},
      {"unset LINENO; unset -v BASH_LINENO", "ok\n", "echo ${LINENO-none}", "1\n", ":"},
      {"set -- a 'b c'; shift 0", "ok\n", "echo $# $2", "2 b c\n", "set --"},
      {"exec 3>three 4<three; echo x >&3", "ok\n", "cat <&4", "x\n", "exec 3>&- 4<&-; rm three"},
      {"exec 200>lock; flock 200", "ok\n", "echo x >&200; cat lock", "x\n", "exec 200>&-"},
      {"exec 99>lock; flock 99", "ok\n", "flock -n lock true || echo locked; echo x >&99; cat lock",
       "locked\nx\n", "exec 99>&-"},
      {"for i in {90..110} 229; do eval \"exec $i>at$i\"; done", "ok\n",
       "for i in {90..110} 229; do echo $i >&$i; done; cat at90 at98 at101 at229", "90\n98\n101\n229\n",
       "for i in {90..110} 229; do eval \"exec $i>&-\"; done; rm at*"},
      {"exec 10>lock; flock 10 && echo locked >&10", "ok\n", "cat lock; echo more >&10", "locked\n",
       "exec 10>&-; rm lock"},
      {"for fd in {3..229}; do eval \"exec $fd>&-\"; done", "ok\n", "echo y", "y\n", ":"},
      {"exec >file 2>&1; echo lost", "ok\n", "cat file", "lost\n", "rm file"},
      {"exec <&- >&- 2>&-", "ok\n", "cat; echo $?", "0\n", ":"},
      {"readonly locked=1; export locked", "ok\n", "env | grep ^locked", "locked=1\n", ":"},
      {"declare -n ref=E2; ref=r; enable -n help", "ok\n", "echo $E2; help",
       "r\nbash: line 1: help: command not found\n[exit status 127]", "unset -n ref"},
      {"hash -r; ulimit -c 0; ulimit -n 512", "ok\n", "ulimit -n", "512\n", ":"},
      {"ulimit -n 64", "ok\n", "ulimit -n", "64\n", ":"},
      {"trap '' XFSZ; ulimit -f 0", "ok\n", "ulimit -f", "0\n", ":"},
      {"ulimit -f 0; export LARGE=$(printf '%05000d' 0)", "ok\n", "echo ${#LARGE}", "5000\n", "unset LARGE"},
      {"echo one two", "ok\n", ":", "", "echo \"[$_]\" | grep -x '\\[\\]'"},
      {"mkdir gone; cd gone; rmdir ../gone", "ok\n", "echo here", "here\n", "cd /"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.set);
    Lane lane;
    const std::string shell = lane.text("echo $BASHPID");
    CHECK(lane.text("keep=kept") == "(no output)");
    const auto set = lane.call({{"command", row.set}});
    CAPTURE(set.text);
    CHECK(lane.text("echo ok") == row.ok);
    CHECK(contains(lane.text(row.probe), row.probed));
    lane.text(row.undo);
    CHECK(lane.text("echo $keep $BASHPID") == "kept " + shell);
  }
}

TEST_CASE("bash: a mistake that bash takes for fatal ends its command and nothing else") {
  for (const std::string mistake :
       {"m['a b']=1", "for d in 07 08 09; do c[$d]=1; done", "echo ${a[foo.txt]}", "a=1; unset a[1.5]",
        "(( a[08]=1 ))", "[[ -v a[08] ]]", "printf -v a[08] x", "declare -i n=08", "a=([1+]=2)", "return 1 2",
        "f() { local x; a[08]=1; }; f", "eval 'a[08]=1'", "a[08]=1 2>&1 | cat; a[08]=1",
        "builtin() { :; }; a[08]=1"}) {
    CAPTURE(mistake);
    Lane lane;
    const std::string shell = lane.text("echo $BASHPID");
    lane.text("keep=kept");
    const auto answer =
        lane.call({{"command", "mkdir sub; cd sub; export E=1\n" + mistake + "\necho not reached"}});
    CAPTURE(answer.text);
    CHECK(answer.is_error);
    CHECK(contains(answer.text, ": line "));
    CHECK(answer.text.ends_with("\n[exit status 1]"));
    CHECK(!contains(answer.text, "not reached"));
    CHECK(!contains(answer.text, "the shell"));
    CHECK(lane.text("echo $keep $E $BASHPID; pwd; cat; type -t builtin") ==
          "kept 1 " + shell.substr(0, shell.size() - 1) + "\n" + lane.path("sub") + "\nbuiltin\n");
    CHECK(lane.text("set -x; echo traced >/dev/null") == "++ echo traced\n");
  }
}

TEST_CASE("bash: a syntax error inside of a substitution costs its command only") {
  for (const std::string command : {"if [ $(ls ]; then echo; fi", "echo $(ls; fi)", "x=$(if true; done)",
                                    "echo \"$(for i in 1; do echo)\"", "echo <(fi)", "echo \"${x:-$(fi)}\"",
                                    "x=$(ls | wc -l", "x=$(echo 'a)"}) {
    CAPTURE(command);
    Lane lane;
    const std::string shell = lane.text("keep=kept; echo $BASHPID");
    const auto answer = lane.call({{"command", "touch ran\n" + command}});
    CAPTURE(answer.text);
    CHECK(answer.is_error);
    CHECK(contains(answer.text, "bash: line "));
    CHECK(answer.text.ends_with("\n[nothing of the command was run]\n[exit status 2]"));
    CHECK(!lane.has("ran"));
    // An unclosed one would have left a heap behind that lists of this length find damaged.
    CHECK(lane.text("for i in {1..200}; do :; done; echo $(echo " + std::string(400, 'w') +
                    " a b c d e f g h i j k l m n o p q r s t u v w x y z 1 2 3 4 5 6 7 8 9 0 | wc -w)") ==
          "37\n");
    CHECK(lane.text("echo $keep $BASHPID") == "kept " + shell);
  }
}

TEST_CASE("bash: a call that is over before its syntax is known isn't run") {
  const std::string slow = "touch ran; " + slow_to_parse();
  Lane lane;
  lane.text("keep=kept");
  const auto late = lane.call({{"command", slow}, {"timeout_ms", 1}});
  CHECK(late.text == "[timed out after 1 ms before the command began; nothing of it was run]");
  CHECK(!lane.has("ran"));
  CHECK(lane.text("echo $keep") == "kept\n");
}

TEST_CASE("bash: a call that is over before its shell has its variables back isn't run") {
  for (const bool cancelled : {false, true}) {
    CAPTURE(cancelled);
    Lane lane;
    lane.text("export E=kept; declare -x Z='a[$(touch begun; sleep 0.5)]'; declare -i Z");
    lane.text("exit 3");
    const auto answer = cancelled ? lane.call_cancelled_at("begun", {{"command", "touch ran"}})
                                  : lane.call({{"command", "touch ran"}, {"timeout_ms", 100}});
    CHECK(answer.is_error);
    CHECK(answer.text.ends_with(
        cancelled ? "[interrupted before the command began; nothing of it was run]"
                  : "[timed out after 100 ms before the command began; nothing of it was run]"));
    CHECK_FALSE(lane.has("ran"));
    CHECK(lane.text("echo $E").ends_with("kept\n"));
  }
}

TEST_CASE("bash: a first call that is over while the pool is busy harms nothing, whatever else runs") {
  Lane lane;
  std::promise<void> release;
  const auto released = release.get_future().share();
  for (int i = 0; i < 2; ++i) boost::asio::post(lane.pool, [released] { released.wait(); });
  const pid_t orphan = ::fork();  // looks like what a shell of the lane may have left
  if (orphan == 0) {
    ::setsid();
    for (;;) ::pause();
  }
  CHECK(lane.call({{"command", "touch ran"}, {"timeout_ms", 50}})
            .text.ends_with("[timed out after 50 ms before the command began; nothing of it was run]"));
  release.set_value();
  ::kill(orphan, SIGKILL);
  ::waitpid(orphan, nullptr, 0);
  CHECK_FALSE(lane.has("ran"));
  CHECK(lane.text("pwd") == lane.dir.path().string() + "\n");
}

TEST_CASE("bash: a shell that ends while a command's syntax is looked at is replaced first") {
  const std::string slow = slow_to_parse() + "; echo $E";
  Lane lane;
  lane.text("export E=kept; (sleep 0.05; kill -9 $$) & disown");
  CHECK(lane.text(slow).ends_with("kept\n"));
}

TEST_CASE("bash: of a trap that spoils our own lines the answer has what bash says") {
  Lane lane;
  const auto answer = lane.call({{"command", "trap 'a[08]=1' DEBUG"}});
  CHECK(contains(answer.text, "08: value too great for base"));
  CHECK(contains(answer.text, "[the shell no longer takes commands"));
}

TEST_CASE("bash: where the working directory is gone, the shell begins elsewhere and says so") {
  Lane lane;
  const std::string gone = lane.dir.path().string();
  lane.text("export E=kept; rm -rf \"$PWD\"");
  CHECK(contains(lane.text("exit 3"), "the next call gets a fresh shell in /, as " + gone +
                                          " can't be entered any more, with the exported variables of "));
  CHECK(lane.text("pwd; echo $E") == "/\nkept\n");
  CHECK(lane.text("mkdir " + gone + "; pwd") == "/\n");
}

TEST_CASE("bash: where it goes after the shell has ended, the next one says so") {
  Lane lane;
  const std::string workdir = lane.dir.path().string();
  lane.text("mkdir d; cd d; echo $$ >../pid");
  CHECK(contains(lane.text("exit 3"), "fresh shell in " + workdir + "/d with"));
  std::filesystem::remove(workdir + "/d");
  CHECK(lane.text("pwd") == fmt::format("[{0}/d can't be entered; the shell began in {0}]\n{0}\n", workdir));
}

TEST_CASE("bash: where /proc is covered, a command is refused, not taken for an empty one") {
  bool tried = false;
  in_mount_namespace([&] {
    Lane lane;
    lane.text("kept=1");
    if (::mount("none", "/proc", "tmpfs", 0, nullptr) != 0) return;
    tried = true;
    const auto refused = lane.call({{"command", "echo ran >ran"}});
    CHECK(::umount("/proc") == 0);
    CHECK(refused.is_error);
    CHECK(refused.text == "bash: /proc is gone, where bash finds the command; nothing was run");
    CHECK_FALSE(lane.has("ran"));
    CHECK(lane.text("echo $kept") == "1\n");
  });
  if (!tried) leave_out("NAMESPACES");
}

TEST_CASE("bash: a shell that can't be driven any more is replaced, and the call that did it says so") {
  struct Row {
    const char* command;
    const char* says;
  };
  const char* close_all =
      "for d in /proc/$$/fd/*; do d=${d##*/}; [ $d -lt 3 ] || eval \"exec $d>&-\"; done 2>/dev/null";
  const char* unusable = "[the shell no longer takes commands (set -n, a disabled or redefined builtin, or ";
  const char* ended = "[the shell ended with exit status ";
  for (const auto& row : {
           Row{"echo out; set -n", unusable},
           Row{close_all, "[the shell "},

           Row{"echo out; ulimit -n 5", unusable},
           Row{"echo out; exec 230>&-", unusable},
           Row{"echo out; exec 231>&-", unusable},
           Row{"echo out; exec 235>&-", unusable},
           Row{"echo out; exec 236>&-", unusable},
           Row{"echo out; exec 237>&-", unusable},
           Row{"echo out; readonly LINENO", unusable},
           Row{"echo out; enable -n eval", unusable},
           Row{"echo out; enable -n echo", unusable},
           Row{"echo out; enable -n builtin", unusable},

           Row{"echo out; shopt -s extdebug; trap 'false' DEBUG", unusable},
           Row{"echo out; trap exit DEBUG", ended},
           Row{"echo out; exec >/dev/null; exit", ended},
           Row{"echo out; exec sleep 0", ended},
           Row{"echo out; trap 'kill -9 $$' EXIT; exit", "[the shell was ended by SIGKILL"},
       }) {
    CAPTURE(std::string(row.command));
    Lane lane;
    lane.text("mkdir sub; cd sub; export E='two words'; plain=1");
    const std::string shell = lane.text("echo $BASHPID");
    const auto answer = lane.call({{"command", row.command}});
    CAPTURE(answer.text);
    CHECK(contains(answer.text, row.says));
    CHECK(contains(answer.text,
                   "the next call gets a fresh shell in " + lane.path("sub") + " with the exported"));
    CHECK(lane.text("echo $E ${plain-none}; pwd") == "two words none\n" + lane.path("sub") + "\n");
    CHECK(lane.text("echo $BASHPID") != shell);
  }
}

TEST_CASE("bash: a command that seems to define a function named builtin changes no option") {
  for (const char* mode : {"set +o posix", "set -o posix", "export POSIXLY_CORRECT=a/=b/c"}) {
    CAPTURE(std::string(mode));
    Lane lane;
    lane.text(std::string(mode) +
              "; shopt -s inherit_errexit shift_verbose; shopt -u expand_aliases sourcepath");
    const std::string probe = "shopt; set +o; declare -p POSIXLY_CORRECT; env | grep POSIX";
    const auto before = lane.text(probe);
    for (const char* command : {"grep -rn 'builtin function' .", "cat <<E\nint f() { return builtin(0); }\nE",
                                "f() { builtin echo x; }; f", "builtin () { echo mine; }; builtin"}) {
      CAPTURE(std::string(command));
      lane.text(command);
      CHECK(lane.text(probe) == before);
    }
    CHECK(lane.text("(exit 3); : builtin function; (exit 4)") == "[exit status 4]");
    CHECK(lane.text("builtin echo x") == "x\n");
  }
}

TEST_CASE("bash: what traps print around our own lines goes nowhere, least of all to the next shell") {
  for (const std::string trap :
       {"trap 'echo touch ran' DEBUG", "trap 'printf \"> \"' DEBUG", "trap 'printf .' DEBUG",
        "trap 'echo \"exit status $?: $BASH_COMMAND\"' DEBUG; true",
        "set -m; trap 'echo touch ran' CHLD; sleep 0 & sleep 0.1",
        "trap 'echo touch ran' ERR RETURN; false"}) {
    CAPTURE(trap);
    Lane lane;
    lane.text("export AAA=1 BBB=2 LAST=3; " + trap);
    lane.text(":");
    CHECK(contains(lane.text("exit 1"), "the next call gets a fresh shell"));
    CHECK(lane.text("echo $AAA $BBB $LAST; ls") == "1 2 3\n");
  }
}

TEST_CASE("bash: modes that the worker's environment asks for don't keep a fresh shell from its variables") {
  for (const char* variable :
       {"SHELLOPTS=errexit", "SHELLOPTS=xtrace:verbose:nounset", "POSIXLY_CORRECT=1"}) {
    CAPTURE(std::string(variable));
    Lane::Options options;
    options.environment.emplace_back(variable);
    Lane lane(options);
    lane.text("export E='two words' UID; cd /tmp");
    CHECK(contains(lane.text("exit 1"), "the next call gets a fresh shell in /tmp with the exported"));
    const auto answer = lane.text("echo $E; set +x");
    CHECK(answer.find("two words\n") != std::string::npos);
    CHECK_FALSE(contains(answer, "declare"));
    CHECK_FALSE(contains(answer, "lost"));
  }
  Lane lane;
  lane.text("export POSIXLY_CORRECT=1 UID E=x");
  lane.text("exit");
  CHECK(lane.text("echo $E; shopt -o posix") == "x\nposix          \ton\n");
}

TEST_CASE("bash: variables that end the shell they are handed to are lost, and cost no further shell") {
  Lane lane;
  // Given to the fresh shell, the index is evaluated.
  lane.text("export E=x N='a[$(kill -9 $$)]'; declare -i N");
  CHECK(contains(lane.text("exit 3"), "with the exported variables of the last completed call"));
  CHECK(lane.text("echo ${E-none}; cd /") ==
        "[the exported variables can't be handed to the fresh shell; they are lost]\nnone\n");
  lane.text("export E=y; exit 3");
  CHECK(lane.text("export E=z; pwd") == "/\n");
  lane.text("exit 3");
  CHECK(lane.text("echo $E") == "z\n");
}

TEST_CASE("bash: a fresh shell's PWD is where it is, and OLDPWD where the last one was before") {
  Lane lane;
  lane.text("mkdir -p d real; ln -s real link; cd d");
  lane.text("rmdir ../d");
  lane.text("exit 1");
  CHECK(lane.text("echo $PWD; pwd; echo $OLDPWD") ==
        fmt::format("{0}\n{0}\n{0}\n", lane.dir.path().string()));
  lane.text("cd link");
  lane.text("exit 1");
  CHECK(lane.text("echo $PWD; pwd; env | grep ^PWD=") ==
        fmt::format("{0}\n{0}\nPWD={0}\n", lane.path("real")));
}

TEST_CASE("bash: a command that meets an ended shell is run by a fresh one, once") {
  Lane lane;
  lane.text("export E=x");
  const std::array comments{"", " # builtin function"};  // the second one needs another line than others
  for (std::size_t round = 0; round < 20; ++round) {
    // The shell ends right behind this; which of the two calls hears of it is left open.
    const auto first = lane.text("set -t");
    const auto second = lane.text(std::string("echo $E; echo ran >>log") + comments[round % 2]);
    CHECK(contains(first, "[the shell ended ") != contains(second, "[the shell ended after the last call; "));
    CHECK(second.ends_with("x\n"));
  }
  CHECK(lane.text("grep -c ran log") == "20\n");
}

TEST_CASE("bash: whenever its shell is killed, a command is run once, or cut with a word on it") {
  Lane lane;
  std::mt19937 random(31);  // NOLINT: the same moments each time, as far as the machine has it
  int whole = 0;
  int met_in_line = 0;
  for (int round = 0; round < 300; ++round) {
    lane.text("echo $BASHPID >pid");
    const auto begun = Clock::now();
    lane.text(":");
    const auto wait = (Clock::now() - begun) * (random() % 100) / 50;  // up to twice what a call takes
    bool in_line = false;
    std::thread killer([&, shell = lane.pid_in("pid")] {
      const auto moment = Clock::now() + wait;
      while (Clock::now() < moment) std::this_thread::yield();
      in_line = stop_reading(shell);
      ::kill(shell, SIGKILL);
    });
    const std::string log = fmt::format("log{}", round);
    const auto answer =
        lane.text(fmt::format("echo >>{}; echo done{}", log, round % 2 == 0 ? "" : " # builtin function"));
    killer.join();
    CAPTURE(answer);
    const auto runs = lane.has(log) ? std::filesystem::file_size(lane.path(log)) : 0;
    CHECK(runs <= 1);
    if (contains(answer, "done\n")) CHECK(runs == 1);
    if (answer.ends_with("done\n"))
      ++whole;
    else
      CHECK(contains(answer, "[the shell was ended by SIGKILL"));
    if (in_line) CHECK(contains(answer, "done\n"));
    met_in_line += in_line ? 1 : 0;
  }
  CHECK(whole > 0);
  CHECK(met_in_line > 0);
}

TEST_CASE("bash: a command may copy its standard input, which costs no shell") {
  Lane lane;
  lane.text("kept=1; printf '1\\n2\\n' >two");
  const std::vector<std::pair<const char*, const char*>> rows = {
      {"exec 3<&0; cat <&3; echo ok; exec 3<&-", "ok\n"},
      {"while read -r line; do echo $line; done 4<&0 <two", "1\n2\n"},
      {"while read -r line <&3; do echo $line; done 3<&0", "(no output)"},
      {"exec 6<&0 <two; read -r line; exec <&6 6<&-; echo $line; cat", "1\n"},
      {"mapfile -u 5 all 5<&0; echo ${#all[@]}", "0\n"},
      {"eval 'cat 7<&0'; f() { cat <&8; } 8<&0; f; echo $(cat 9<&0)", "\n"},
      {"{ cat; } {copy}<&0; cat 3<&0 & wait; echo ok", "ok\n"},
      {"set -o posix; exec 3<&0; set +o posix; exec 3<&-; echo ok", "ok\n"},
      {"exec 255>high 255>&-; echo ok", "ok\n"},  // where bash has its script
  };
  for (const auto& [command, expected] : rows) {
    CAPTURE(command);
    CHECK(lane.text(command) == expected);
    CHECK(lane.text("echo $kept") == "1\n");
  }
}

TEST_CASE("bash: its name is bash in messages, in functions too, and nothing of ours is called a caller") {
  Lane lane;
  lane.text("printf 'missing\\necho $0 ${BASH_SOURCE[0]}\\n' >script");
  CHECK(lane.text("echo $0 $# $-") == "bash 0 hB\n");
  CHECK(lane.text("f() { missing; }; f || true") == "bash: line 1: missing: command not found\n");
  CHECK(lane.text("true\nmissing || true") == "bash: line 2: missing: command not found\n");
  CHECK(lane.text(". ./script") == "./script: line 1: missing: command not found\nbash ./script\n");
  CHECK(lane.text("caller; f() { caller 0; }; f") == "0 NULL\n1 main bash\n");
  CHECK(lane.text("[[ ${BASH_SOURCE[0]} == \"$0\" ]] && echo not sourced") == "not sourced\n");
}

TEST_CASE("bash: a history has nothing of ours, unless somebody wants lines with a blank in front in it") {
  Lane lane;
  lane.text("set -o history");
  lane.text("echo a");
  lane.text("history -s own; a[08]=1");
  CHECK(lane.text("f() { builtin history; }; f").ends_with("  own\n"));
  CHECK(lane.text("history | wc -l") == "1\n");
  Lane other({.environment = {"PATH=" + std::string(::getenv("PATH")), "HISTCONTROL=ignoredups"}});
  CHECK(other.text("echo $HISTCONTROL; env | grep HISTCONTROL") == "ignoredups\nHISTCONTROL=ignoredups\n");
}

TEST_CASE("bash: restricted mode restricts the commands only") {
  Lane lane;
  lane.text("set -r");
  CHECK(contains(lane.text("cd /"), "restricted"));
  CHECK(lane.text("echo ok; cat") == "ok\n");
}

TEST_CASE(
    "bash: exported variables that don't fit into their pipe are kept; of a list that was cut, nothing is") {
  const std::string large = "BIG=$(head -c 1500000 /dev/zero | tr '\\0' b)";
  Lane lane;
  lane.text("echo $$ >pid; export E=first " + large);
  CHECK(lane.text("export E=second; unset BIG") == "(no output)");
  CHECK(lane.text("export E=third " + large) == "(no output)");
  CHECK(lane.text("echo $E") == "third\n");
  CHECK(contains(lane.text("exit 3"), "with the exported variables of the last completed call"));
  CHECK(lane.text("echo $E ${#BIG}; echo $$ >pid; unset BIG") == "third 1500000\n");
  CHECK(lane.text("export E=fourth " + large) == "(no output)");
  const pid_t shell = lane.pid_in("pid");
  ::kill(shell, SIGKILL);  // it waits for room in the pipe
  REQUIRE(lane.until([&] { return !sandbox_worker::testing::runs(shell); }));
  const auto answer = lane.text("echo $E ${#BIG}");
  CHECK(contains(answer, "exported variables of an earlier call]\nthird 0\n"));
}

TEST_CASE("bash: large exported variables hold up no command that needs another line") {
  Lane lane;
  lane.text("for i in {1..12}; do export V$i=$(head -c 100000 /dev/zero | tr '\\0' v); done");
  CHECK(lane.text("f() { builtin echo hi; }; f") == "hi\n");
  lane.text("sleep 1000 & :");
  CHECK(lane.text("echo ${#V12}") == "100000\n");
  lane.text("exit");
  CHECK(lane.text("echo ${#V12}") == "100000\n");
}

TEST_CASE("bash: whatever is written to the pipe for exported variables, the list is the shell's own") {
  Lane lane;
  lane.text("export E=first; echo junk >&236; printf 'declare -x E=\"bad\"\\n' >&236");
  lane.text("export F=$'two\nlines'; head -c 600000 /dev/zero >&236");
  lane.text("exit");
  CHECK(lane.text("echo $E; echo \"$F\"") == "first\ntwo\nlines\n");
  // A list that never comes is known to be missing.
  lane.text("enable -n export; declare -x E=second");
  CHECK(contains(lane.text("exit 3"), "with the exported variables of an earlier call"));
  CHECK(lane.text("echo $E") == "first\n");
  lane.text("export E=third");
  CHECK(contains(lane.text("exit 3"), "with the exported variables of the last completed call"));
}

TEST_CASE("bash: exported variables that no program could be given are not kept, which is said") {
  Lane lane;
  CHECK(lane.text("export E=x; export BIG=$(head -c 3000000 /dev/zero | tr '\\0' b)") == "(no output)");
  CHECK(lane.text("echo ${#BIG}") == "3000000\n");
  CHECK(contains(lane.text("exit 3"),
                 "its variables (the exported ones are too large to keep), functions and"));
  CHECK(lane.text("echo ${E-none}") == "none\n");
}

TEST_CASE("bash: output comes whole and in order, however it meets the end of its command") {
  Lane lane;
  std::string expected;
  for (int i = 1; i <= 15000; ++i) expected += std::to_string(i) + "\n";
  bool all_equal = true;
  for (int round = 0; round < 100; ++round) all_equal = all_equal && lane.text("seq 15000") == expected;
  CHECK(all_equal);
}

TEST_CASE("bash: after any text at all the next call works") {
  const std::vector<std::string> parts = {
      "'",
      "\"",
      "`",
      "$(",
      "${",
      "$((",
      "))",
      "}",
      ")",
      "{ ",
      "( ",
      " #",
      "\\",
      "\n",
      ";",
      ";;",
      "&",
      "&&",
      "||",
      "|",
      "|&",
      "<<E",
      "<<-'E'",
      "<<<",
      "E\n",
      "<",
      ">",
      ">f",
      "2>&1",
      ">&",
      "<&-",
      ">&-",
      "if ",
      "then ",
      "fi",
      "case x in",
      "esac",
      "for i in ",
      "do ",
      "done",
      "until ",
      "function ",
      "f()",
      "[[",
      "]]",
      "((",
      "!",
      "coproc ",
      "time ",
      "select ",
      "in ",
      "echo a",
      "printf b",
      ":",
      "true",
      "false",
      "exit 3",
      "return",
      "break 9",
      "continue",
      "set -n",
      "set -e",
      "set -x",
      "set +x",
      "set -u",
      "set -v",
      "set -o posix",
      "shopt -s extglob",
      "trap '' DEBUG",
      "eval ",
      "exec ",
      "exec 1>&-",
      "exec 0<&-",
      "exec 230>&-",
      "exec 10>&-",
      "exec 11>&-",
      "builtin",
      "unset -f",
      "readonly ",
      "x=",
      "$x",
      "$'\\x",
      "$\"",
      "\xFF\xFE",
      "\x01\x02",
      "\r",
      "\t",
      "\x7F",
      "~",
      "*",
      "?(",
      "!(",
      "{1..3}",
      "<(",
      ">(",
      "kill -9 $$",
      "wait",
      "cd /",
      "cd -",
      "alias e=x",
      "IFS=o",
      "\xE2\x80\xA8",
      "#\n",
  };
  std::mt19937 random(20);  // NOLINT: the same texts each time
  const auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random() % bound); };
  Lane lane;
  for (int round = 0; round < 300; ++round) {
    std::string command;
    for (std::size_t count = 1 + below(12); count > 0; --count) {
      command += parts[below(parts.size())];
      if (below(2) == 0) command += ' ';
    }
    if (round % 60 == 59)
      command.insert(below(command.size() + 1), std::string(1 << 20, round % 2 == 0 ? '#' : 'x'));
    if (round % 50 == 49) command.insert(below(command.size() + 1), 1, '\0');
    const auto answer = lane.call({{"command", command}, {"timeout_ms", 1000}});
    CAPTURE(command.substr(0, 300));
    CHECK_FALSE(answer.text.empty());
    if (contains(command, std::string(1, '\0'))) CHECK(contains(answer.text, "nothing was run"));
    const auto next = lane.text("echo ok");
    CHECK_MESSAGE(next.ends_with("ok\n"), next);
  }
}
