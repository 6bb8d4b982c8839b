#include "tools/shell_lines.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/support/temp_dir.hpp"

using namespace sandbox_worker::tools;

TEST_CASE("shell lines: bash runs nothing of a line whose rest never comes") {
  for (const Guard guard : {Guard::off, Guard::on}) {
    const sandbox_worker::testing::TempDir dir;
    const auto run = [&](const std::string& input) {
      dir.write("input", input);
      dir.write("command", "echo x >>count");
      const auto command = fmt::format(
          "cd '{}' && bash --norc --noprofile <input >own 2>&1 230>status 231>output 232>other 233>other "
          "234>other 235<command 236>exports "
          "237</dev/null",
          dir.path().string());
      return std::system(fmt::format("bash -c \"{}\"", command).c_str());  // NOLINT: our own text
    };
    const auto line = run_line("word", kOutputFds.front(), guard);
    CHECK(run(line) != 0);
    CHECK_FALSE(std::filesystem::exists(dir / "count"));
    CHECK(dir.read("status").empty());
    CHECK(run(line + std::string(kLineRest)) == 0);
    CHECK(dir.read("count") == "x\n");
    CHECK(dir.read("status") == "word 0\n");
  }
}

TEST_CASE("shell lines: a backslash that joins the last line with nothing is left out") {
  struct Row {
    const char* command;
    const char* expected;
  };
  const Row rows[] = {
      {"echo a\\\n", "echo a"},
      {"echo a\\\n\n", "echo a"},
      {"echo a\\\n\\\n", "echo a"},
      {"echo a\\", "echo a\\"},
      {"echo a\\\\\n", "echo a\\\\\n"},
      {"echo a\n", "echo a\n"},
      {"\\\n", ""},
      {"\n", "\n"},
      {"", ""},
      {"echo a\\\\\\\n", "echo a\\\\"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.command);
    CHECK(without_last_continuation(row.command) == row.expected);
  }
}

TEST_CASE("shell lines: what bash says of killed jobs is taken from what it prints itself") {
  CHECK(job_notices("") == "");
  CHECK(job_notices("bash: line 18:   311 Killed                  sleep 100\n") ==
        "311 Killed                  sleep 100\n");
  CHECK(job_notices("D\n/proc/self/fd/87: Zeile 2: 7 Speicherzugriffsfehler  ./server\nD\n") ==
        "7 Speicherzugriffsfehler  ./server\n");
  CHECK(job_notices("bash: line 1: 232: Bad file descriptor\n+ echo 7\n++ \\builtin eval 'x'\n") == "");
}
