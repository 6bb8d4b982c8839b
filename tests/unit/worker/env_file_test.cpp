#include "worker/env_file.hpp"

#include <doctest/doctest.h>

#include "tests/support/temp_dir.hpp"

using namespace sandbox_worker::worker;
using sandbox_worker::testing::TempDir;
using Entries = std::vector<std::string>;

TEST_CASE("env file: lines, comments and quotes") {
  struct Row {
    std::string text;
    Entries entries;
  };
  for (const auto& row : {
           Row{"", {}},
           Row{"A=1", {"A=1"}},
           Row{"A=1\nB=2\n", {"A=1", "B=2"}},
           Row{"A=1\r\n  B=2  \r\n", {"A=1", "B=2"}},
           Row{"# comment\n\n   # another\nA=#1 # 2\n", {"A=#1 # 2"}},
           Row{"export A=1\nexport\tB=2\nexport=3\n", {"A=1", "B=2", "export=3"}},
           Row{"A=\nB=''\nC=\"\"\n", {"A=", "B=", "C="}},
           Row{"A=b=c $HOME `x` \\n\n", {"A=b=c $HOME `x` \\n"}},
           Row{"A=' two  words ' # why\n", {"A= two  words "}},
           Row{"A='a\\'\nB=\"say \\\"hi\\\" \\\\ \\n $x\"\n", {"A=a\\", "B=say \"hi\" \\ \\n $x"}},
           Row{"A=1\nA=2\n", {"A=1", "A=2"}},
           Row{"_x9=\xC3\xBC", {"_x9=\xC3\xBC"}},
           Row{"A=it's\n", {"A=it's"}},
       }) {
    CAPTURE(row.text);
    const auto entries = parse_env_file(row.text);
    REQUIRE(entries);
    CHECK(*entries == row.entries);
  }
}

TEST_CASE("env file: an error names the line and never the value") {
  struct Row {
    std::string text;
    const char* error;
  };
  for (const auto& row : {
           Row{"A=1\nsecret\n", "line 2: not NAME=value"},
           Row{"=secret", "line 1: not NAME=value"},
           Row{"9A=secret", "line 1: not NAME=value"},
           Row{"A B=secret", "line 1: not NAME=value"},
           Row{"A =secret", "line 1: not NAME=value"},
           Row{"export", "line 1: not NAME=value"},
           Row{"A='secret", "line 1: a quote that isn't closed"},
           Row{"\n\nA=\"secret\\\"", "line 3: a quote that isn't closed"},
           Row{"A='secret' more", "line 1: text behind the closing quote"},
           Row{std::string("A=secret\0", 9), "line 1: a NUL byte"},
           Row{"ANTHROPIC_API_KEY=secret",
               "line 1: ANTHROPIC_API_KEY is not for commands (ANTHROPIC_*, SANDBOX_WORKER_*)"},
           Row{"export anthropic_x=secret",
               "line 1: anthropic_x is not for commands (ANTHROPIC_*, SANDBOX_WORKER_*)"},
           Row{"Sandbox_Worker_Workdir=secret",
               "line 1: Sandbox_Worker_Workdir is not for commands (ANTHROPIC_*, SANDBOX_WORKER_*)"},
       }) {
    CAPTURE(row.text);
    const auto entries = parse_env_file(row.text);
    REQUIRE_FALSE(entries);
    CHECK(entries.error() == row.error);
  }
}

TEST_CASE("env file: what can't be read is named") {
  TempDir dir;
  const auto path = dir.write("env", "A=1\nB\n");
  CHECK(read_env_file(path).error() == path + ": line 2: not NAME=value");
  CHECK(read_env_file(dir / "none").error() == dir / "none: No such file or directory");
  CHECK(read_env_file(dir.path().string()).error() == dir.path().string() + ": not a regular file");
  dir.write("env", "A=" + std::string(1 << 20, 'x'));
  CHECK(read_env_file(path).error() == path + ": larger than 1 MiB");
  dir.write("env", "A='1'\n");
  CHECK(read_env_file(path).value() == Entries{"A=1"});
}
