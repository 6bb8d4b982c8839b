#include "tools/bash.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "tests/support/bash_lane.hpp"
#include "tests/support/temp_dir.hpp"
#include "tools/process_table.hpp"

namespace asio = boost::asio;
using namespace sandbox_worker::tools;
using namespace std::chrono_literals;
using nlohmann::json;
using sandbox_worker::testing::runs;

namespace {

using Lane = sandbox_worker::testing::BashLane;

}  // namespace

TEST_CASE("bash: output, status and state") {
  Lane lane;
  CHECK(lane.text("echo hi; echo there >&2; echo again") == "hi\nthere\nagain\n");
  CHECK(lane.text(":") == "(no output)");
  const auto failed = lane.call({{"command", "echo out; false"}});
  CHECK(failed.text == "out\n[exit status 1]");
  CHECK(failed.is_error);
  CHECK(lane.text(
            "mkdir sub; cd sub; v=1; f() { echo f$v; }; export E=x; umask 027; alias ll='echo aliased'") ==
        "(no output)");
  CHECK(lane.text("pwd; f; echo $E; umask; ll") == lane.dir.path().string() + "/sub\nf1\nx\n0027\naliased\n");
  CHECK(lane.text("cat; echo $?; [ -t 0 ] || echo no terminal") == "0\nno terminal\n");
  CHECK(lane.text("echo a >/dev/stdout; echo b >/dev/stderr; cat <(echo c); cat /dev/fd/0") == "a\nb\nc\n");
}

TEST_CASE("bash: input of the wrong form is an error and runs nothing") {
  Lane lane;
  const std::string touch = "touch ran";
  for (const auto& input :
       {json{{"command", 7}}, json::object(), json{{"command", touch}, {"timeout_ms", 0}},
        json{{"command", touch}, {"timeout_ms", -5}}, json{{"command", touch}, {"timeout_ms", "5"}},
        json{{"command", touch}, {"restart", "yes"}}, json("text"), json(nullptr),
        json{{"command", std::string("touch ran\0x", 11)}}}) {
    const auto answer = lane.call(input);
    CHECK_MESSAGE(answer.is_error, input.dump());
    CHECK_MESSAGE(answer.text.starts_with("bash: "), answer.text);
  }
  CHECK(lane.text("ls") == "(no output)");
}

TEST_CASE("bash: broken syntax is said at once and the shell lives on") {
  Lane lane;
  lane.text("kept=yes");
  struct Row {
    const char* command;
    const char* says;
  };
  for (const auto& row :
       {Row{"echo \"open", "unexpected EOF while looking for matching"}, Row{"cat <<END\nabc", "abc\n"},
        Row{"}", "syntax error near unexpected token `}'"},
        Row{"echo a)", "syntax error near unexpected token `)'"}, Row{"if true; then", "syntax error"},
        Row{"echo fine # comment", "fine\n"}, Row{"echo fine \\", "fine"},
        Row{"break; continue; return 2>/dev/null; echo after", "after\n"}}) {
    const auto text = lane.text(row.command);
    CHECK_MESSAGE(text.find(row.says) != std::string::npos, row.command, " gives ", text);
  }
  CHECK(lane.text("echo $kept") == "yes\n");
  CHECK(lane.text("echo $LINENO; nosuchcommand") ==
        "1\nbash: line 1: nosuchcommand: command not found\n[exit status 127]");
}

TEST_CASE("bash: a command of 1 MB runs") {
  Lane lane;
  const std::string word(1 << 20, 'x');
  CHECK(lane.text("v=" + word + "; echo ${#v}") == "1048576\n");
}

TEST_CASE("bash: options and redefined builtins act on the agent's commands only") {
  Lane lane;
  CHECK(lane.text("set -x; echo traced") == "++ echo traced\ntraced\n");
  CHECK(lane.text("set +x 2>/dev/null; set -v") == "++ set +x\n");
  CHECK(lane.text("set +v; echo a") == "set +v; echo a\na\n");
  CHECK(lane.text("set -u; set -f; IFS=/; set -o noclobber") == "(no output)");
  CHECK(lane.text("echo b; set +u +f; IFS=' '; set +o noclobber") == "b\n");
  CHECK(lane.text(
            "for n in printf read cd unset export builtin eval; do \\eval \"$n() { echo bad; }\"; done") ==
        "(no output)");
  CHECK(lane.text("echo c") == "c\n");
  CHECK(lane.text("echo d; eval x") == "d\nbad\n");
  CHECK(lane.text("trap 'echo D' DEBUG; echo e; trap - DEBUG").find("e\n") != std::string::npos);
  CHECK(lane.text("set -o posix; echo f") == "f\n");
  CHECK(lane.text("echo g; [[ -o posix ]] && echo posix; set +o posix") == "g\nposix\n");
  CHECK(lane.text("set | grep -c -e 'builtin eval' -e proc/self/fd/9") == "0\n[exit status 1]");
}

TEST_CASE("bash: stdin, stdout and stderr are set anew for each call") {
  Lane lane;
  CHECK(lane.text("exec >file 2>&1; echo lost; ls nosuch").find("[exit status 2]") != std::string::npos);
  CHECK(lane.text("echo back; grep -c . file") == "back\n2\n");
  CHECK(lane.text("exec <&-; exec 1>&- 2>&-") == "(no output)");
  CHECK(lane.text("echo again; cat") == "again\n");
  CHECK(lane.text("exec 3>three {other}>four; echo x >&3") == "(no output)");
  CHECK(lane.text("echo y >&3; echo z >&$other; cat three four") == "x\ny\nz\n");
}

TEST_CASE("bash: commands inherit no descriptor but 0, 1 and 2") {
  const int leak = ::dup2(2, 57);  // as a library would that forgets close-on-exec
  REQUIRE(leak == 57);
  Lane lane;
  CHECK(lane.text("for fd in $(ls /proc/self/fd); do [ $fd -le 3 ] || echo $fd; done") == "(no output)");
  CHECK(lane.text("bash -c 'ls -l /proc/$$/fd' | grep -c -e socket: -e memfd: -e ' 57 '") ==
        "0\n[exit status 1]");
  CHECK(lane.text("ls -l /proc/$$/fd | grep -c -e socket: -e ' 57 ' -e anon_inode") == "0\n[exit status 1]");
  ::close(leak);
}

TEST_CASE("bash: a shell begins in its directory, by the name that PWD has for it") {
  const sandbox_worker::testing::TempDir dir;
  const std::string odd = dir / "it's \xFF\n$(here) ";
  std::filesystem::create_directory(odd);
  std::filesystem::create_symlink(odd, dir / "link");
  const std::string link = dir / "link";
  for (const std::string& pwd : {link, dir / "missing", dir.path().string(), std::string(".")}) {
    CAPTURE(pwd);
    Lane::Options options;
    options.workdir = odd;
    for (const std::string& entry :
         {"PWD=" + pwd, std::string("OLDPWD=/usr"), std::string("CDPATH=/"),
          std::string("BASH_FUNC_cd%%=() {  echo bad; }"), std::string("SHELLOPTS=errexit:nounset")})
      options.environment.push_back(entry);
    Lane lane(std::move(options));
    CHECK(lane.text("test . -ef ../link && test \"$PWD\" -ef . && echo \"${PWD##*/}\"") ==
          (pwd == link ? "link\n" : "it's \uFFFD\n$(here) \n"));
    CHECK(lane.text("env | grep OLDPWD; \\builtin cd -") == "OLDPWD=/usr\n/usr\n");
  }
}

TEST_CASE("bash: a name for its directory that means another one to cd is not taken") {
  const sandbox_worker::testing::TempDir dir;
  for (const char* name : {"a/x", "b/deep/d", "b/deep/x"}) dir.make_dir(name);
  dir.link("a/link", dir / "b/deep/d");
  Lane::Options options;
  options.workdir = dir / "b/deep/x";
  options.environment.push_back("PWD=" + (dir / "a/link/../x"));
  options.environment.emplace_back("OLDPWD=/missing");
  Lane lane(std::move(options));
  CHECK(lane.text("pwd; pwd -P") == (dir / "b/deep/x") + "\n" + (dir / "b/deep/x") + "\n");
  CHECK(lane.text("declare -p OLDPWD; \\builtin cd - || echo nowhere") ==
        "declare -x OLDPWD\nbash: line 1: cd: OLDPWD not set\nnowhere\n");
}

TEST_CASE("bash: a shell that ends is said, and the next call finds directory and exported variables") {
  struct Row {
    const char* command;
    const char* output;
    const char* says;
  };
  for (const auto& row :
       {Row{"echo out; exit 3", "out\n", "[the shell ended with exit status 3"},
        Row{"echo out; exec false", "out\n", "[the shell ended with exit status 1"},
        Row{"echo out; kill $$; sleep 5", "out\n", "[the shell was ended by SIGTERM"},
        Row{"echo out; kill -9 $$; sleep 5", "out\n", "[the shell was ended by SIGKILL"},
        Row{"set -e; echo out; false; echo no", "out\n", "[the shell ended with exit status 1"},
        Row{"trap 'echo bye' EXIT; exit 4", "bye\n", "[the shell ended with exit status 4"},
        Row{"set -n", "", "[the shell no longer takes commands"}}) {
    Lane lane;
    lane.text("mkdir sub; cd sub; export E='two words'; unset HOME; plain=1");
    const auto answer = lane.call({{"command", row.command}});
    CHECK(answer.is_error);
    CHECK_MESSAGE(answer.text.starts_with(std::string(row.output) + row.says), row.command, " gives ",
                  answer.text);
    CHECK(lane.text("pwd; echo $E ${HOME-none} ${plain-none}") ==
          lane.dir.path().string() + "/sub\ntwo words none none\n");
  }
}

TEST_CASE("bash: an EXIT trap has the descriptors of the command that ends the shell") {
  Lane lane;
  const std::string ended = "[the shell ended with exit status 3;";
  CHECK(lane.text("trap cat EXIT; exit 3").starts_with(ended));  // standard input is at its end
  CHECK(lane.text("exec >log; trap 'echo BYE' EXIT; if true; then exit 3; fi").starts_with(ended));
  CHECK(lane.text("cat log") == "BYE\n");
  const std::string large = lane.text("trap 'seq 15000' EXIT; exit 3");
  CHECK(large.find("\n15000\n" + ended) != std::string::npos);
  lane.text("set -x");
  CHECK(lane.text("trap 'echo BYE' EXIT; exit 3 2>/dev/null").find("BYE\n") != std::string::npos);
}

TEST_CASE("bash: what an EXIT trap prints is there, however the shell is ended") {
  struct Row {
    const char* before;
    const char* command;
    const char* output;
  };
  const char* all = "a\nBYE\nBYE2\n[the shell ended with exit status ";
  for (const auto& row : {
           Row{":", "exit 4", all},
           Row{":", "set -u; : $nosuch; echo no",
               "a\nbash: line 1: nosuch: unbound variable\nBYE\nBYE2\n[the shell "},
           Row{":", "set -e; false; echo no", all},
           Row{":", "set -e; (exit 3); echo no", all},
           Row{":", "set -e; f() { ls /nosuch 2>/dev/null; }; f; echo no", all},
           Row{":",
               "echo 'set -euo pipefail; trap \"echo BYE; echo BYE2 >&2\" EXIT; false' >s; . ./s; echo no",
               all},
           Row{"set -e; trap 'echo BYE; echo BYE2 >&2' EXIT", "false", all},
           Row{"trap : DEBUG", "set -e; false", all},
           Row{"trap 'echo E' ERR", "set -e; false", "a\nE\nBYE\nBYE2\n[the shell ended"},
           // Traces of our own line can't be told from the trap's output, so both are left out.
           Row{"set -x", "set -e; false",
               "++ trap 'echo BYE; echo BYE2 >&2' EXIT\n++ echo a\na\n++ set -e\n++ false\n[the shell ended"},
       }) {
    CAPTURE(row.before);
    CAPTURE(row.command);
    Lane lane;
    lane.text(row.before);
    const auto answer =
        lane.text(std::string("trap 'echo BYE; echo BYE2 >&2' EXIT 2>/dev/null; echo a; ") + row.command);
    CHECK_MESSAGE(answer.starts_with(row.output), answer);
  }
}

TEST_CASE("bash: restart gives a shell as at the start") {
  Lane lane;
  lane.text("mkdir sub; cd sub; export E=x; sleep 1000 & echo $! >../pid");
  const pid_t job = lane.pid_in("pid");
  REQUIRE(runs(job));
  const auto answer = lane.call({{"restart", true}});
  CHECK_FALSE(answer.is_error);
  CHECK(answer.text.starts_with("The shell was restarted"));
  CHECK_FALSE(runs(job));
  CHECK(lane.text("pwd; echo ${E-none}") == lane.dir.path().string() + "\nnone\n");
  CHECK(lane.call({{"restart", true}, {"command", "echo both"}}).text == "both\n");
}

TEST_CASE("bash: what a builtin writes to the shell's own descriptors ends no command") {
  Lane lane;
  lane.text("kept=yes");
  // The pipe that tells the end of a command is at 230, outputs from 231 to 233, bash's own above 237.
  const auto answer = lane.text(
      "for fd in 230 {235..242}; do echo 7 >&$fd; printf 0 >&$fd; printf '%0200d\\n0' 3 >&$fd; done "
      "2>/dev/null;"
      " sleep 0.3; echo end");
  CHECK(answer == "end\n");
  CHECK(lane.text("echo $kept") == "yes\n");
}

TEST_CASE("bash: output that looks like our own framing is only output") {
  Lane lane;
  CHECK(lane.text("printf '0\\0declare -x A=\"b\"\\0'; echo; echo '#'; echo real") ==
        "0\xE2\x90\x80"
        "declare -x A=\"b\"\xE2\x90\x80\n#\nreal\n");
}

TEST_CASE("bash: large output stays bounded in memory and is spilled") {
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  constexpr bool kKeepsFreedMemory = true;
#else
  constexpr bool kKeepsFreedMemory = false;
#endif
  constexpr long kPrinted = kKeepsFreedMemory ? 80'000'000 : 300'000'000;  // more than a spill file holds
  Lane lane;
  lane.text("echo warm");
  const auto resident = [] {
    std::ifstream file("/proc/self/statm");
    long pages = 0;
    file >> pages >> pages;
    return pages * ::sysconf(_SC_PAGESIZE);
  };
  lane.text("head -c 2000000 /dev/zero | tr '\\0' x");
  const long before = resident();
  const auto text = lane.text(fmt::format("yes 'a line of text' | head -c {}", kPrinted));
  CHECK(before > 0);
  if (!kKeepsFreedMemory) CHECK(resident() - before < 4 * 1024 * 1024);
  CHECK(text.size() < 101'000);
  CHECK(text.find("characters left out; the beginning of the output is in ") != std::string::npos);
}

TEST_CASE("bash: BASH_ENV of the image is for the agent's scripts, not for this shell's pipe") {
  Lane lane({.environment = {"PATH=" + std::string(::getenv("PATH")), "BASH_ENV=/etc/none"}});
  CHECK(lane.text("echo $BASH_ENV") == "/etc/none\n");
}

TEST_CASE("bash: functions in the environment take no builtin's place in our own lines") {
  for (const std::string name : {"builtin", "eval", "exec", "shopt", "echo", "export"}) {
    CAPTURE(name);
    Lane lane(
        {.environment = {"PATH=" + std::string(::getenv("PATH")), "BASH_FUNC_f%%=() {  builtin echo f; }",
                         "BASH_FUNC_" + name + "%%=() {  :; }"}});
    CHECK(lane.text("builtin echo hi; f") == "hi\nf\n");
  }
}

TEST_CASE("bash: a shell that ends between calls is said by the next one") {
  Lane lane;
  lane.text("export E=x; echo $$ >pid");
  const pid_t shell = lane.pid_in("pid");
  // It hands over its variables behind the call's end, and sleeps only where it waits for the next one.
  REQUIRE(lane.until([&] { return process_info(shell).value_or(ProcessInfo()).state == 'S'; }));
  ::kill(shell, SIGKILL);
  REQUIRE(lane.until([&] { return !process_info(shell).has_value(); }));
  CHECK(lane.text("echo $E") ==
        "[the shell ended after the last call; this is a fresh one, with directory and exported "
        "variables]\nx\n");
}
