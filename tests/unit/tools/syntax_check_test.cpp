#include "tools/syntax_check.hpp"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <string>

#include "tests/support/run.hpp"

using namespace sandbox_worker::tools;

using namespace std::chrono_literals;

TEST_CASE("syntax check: plain substitutions need none") {
  for (const std::string command :
       {"", "ls", "(cd x && ls)", "f() { :; }", "a=(1 2)", "echo \"unclosed", "case x in a) ;; esac",
        "x=$(date +%s)", "echo \"$(git rev-parse --short HEAD)\" $(ls | wc -l)", "$(which a || which b)",
        "diff <(sort 'a b') <(sort \"$x ${y}\" 2>/dev/null)", "tee >(cat >&2)", "echo $((i + 1)) $((x<<2))",
        "awk '{print $(NF)}'", "cd $(dirname \"$0\") && pwd", "echo $(cat a\\(b)", "x=$( ls )"}) {
    CAPTURE(command);
    CHECK(!may_end_shell(command));
  }
}

TEST_CASE("syntax check: what isn't plain or isn't closed needs one") {
  for (const std::string command : {"if [ $(ls ]; then echo; fi",
                                    "echo $(ls; fi)",
                                    "x=$(if true; done)",
                                    "echo \"$(for i in 1; do echo)\"",
                                    "echo <(fi)",
                                    "echo \"${x:-$(fi)}\"",
                                    "x=$(ls | wc -l",
                                    "x=$(",
                                    "x=$(a $(b))",
                                    "x=$(echo \"$(date)\")",
                                    "x=$()",
                                    "x=$(ls |)",
                                    "x=$(| ls)",
                                    "x=$(cat <<E\nE\n)",
                                    "x=$(! a)",
                                    "x=$({ a; })",
                                    "x=$(a # b)",
                                    "x=$(ls\npwd)",
                                    "echo $(ls) $(fi)",
                                    "x=$(echo ${a)",
                                    "x=$(echo 'a)",
                                    "echo $(( (1) ))",
                                    "x=$(a `b`)"}) {
    CAPTURE(command);
    CHECK(may_end_shell(command));
  }
}

TEST_CASE("syntax check: another bash says what is wrong, and runs nothing") {
  boost::asio::io_context io;
  const auto within = [&](const std::string& command, std::chrono::seconds limit, Environment environment) {
    return sandbox_worker::tests::run(io, [&] {
      return find_syntax_mistake(command, environment, std::chrono::steady_clock::now() + limit);
    });
  };
  const auto check = [&](const std::string& command) { return within(command, 30s, {"LANG=C"}); };
  CHECK(!check("x=$(ls); for i in 1; do echo $i; done"));
  CHECK(!check("exit 3"));
  CHECK(!check("echo $(ls !(a|b))"));                       // with extended patterns
  CHECK(!check("set -o posix\necho \"${x:-it's}\" $(a)"));  // in POSIX mode
  CHECK(!check("cat <<E\n$(ls)"));                          // a warning
  const auto mistake = check("echo ran >&2\nx=$(ls; fi)");
  REQUIRE(mistake);
  CHECK(mistake->status == 2);
  CHECK(mistake->text ==
        "bash: line 2: syntax error near unexpected token `fi'\nbash: line 2: `x=$(ls; fi)'\n");
  CHECK(within("x=$(ls; fi)", 30s, {"LC_ALL=xx_XX.UTF-8"})->text.starts_with("bash: line 1: syntax"));
  const auto cut = check("x=$(ls; fi) " + std::string(100'000, 'a'));
  REQUIRE(cut);
  CHECK(cut->text.size() < 5000);
  CHECK(cut->text.ends_with("…\n"));
  CHECK(!within("x=$(ls; fi)", 0s, {}));
}
