#include "tools/script_link.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "tests/support/bash_lane.hpp"
#include "tests/support/temp_dir.hpp"

using sandbox_worker::testing::BashLane;
using sandbox_worker::testing::TempDir;
using sandbox_worker::tools::ScriptLink;

TEST_CASE("script link: is made, made again, and removed") {
  const TempDir dir;
  {
    const ScriptLink script(dir / "run/shell");
    CHECK_FALSE(std::filesystem::exists(script.directory()));
    for (int round = 0; round < 2; ++round) {
      REQUIRE(script.make());
      struct stat made{};
      REQUIRE(::stat(script.directory().c_str(), &made) == 0);
      CHECK((made.st_mode & 07777) == 0700);
      REQUIRE(::stat((dir / "run").c_str(), &made) == 0);
      CHECK((made.st_mode & 07777) == 0700);
      if (round == 0) std::filesystem::remove_all(dir / "run");
    }
    std::filesystem::remove(script.directory() + "/bash");
    dir.write("run/shell/bash", "exit 3");
    dir.write("run/shell/new", "");
    REQUIRE(script.make());
    CHECK(std::filesystem::is_symlink(script.directory() + "/bash"));
    script.remove();
    script.remove();
    CHECK_FALSE(std::filesystem::exists(script.directory()));
    REQUIRE(script.make());
  }
  CHECK(std::filesystem::is_empty(dir / "run"));
}

TEST_CASE("script link: what can't be made is named") {
  const TempDir dir;
  dir.write("file", "");
  const auto made = ScriptLink(dir / "file/shell").make();
  REQUIRE_FALSE(made);
  CHECK(made.error().find(dir / "file/shell") != std::string::npos);
}

TEST_CASE("script link: a place that isn't ours alone is not entered") {
  const TempDir dir;
  const auto here = std::filesystem::current_path();
  const ScriptLink script(dir / "shell");
  const auto enters = [&] {
    const bool entered = ScriptLink::enter(script.directory().c_str());
    const int error = errno;
    std::filesystem::current_path(here);
    if (!entered) CHECK(error == EPERM);
    return entered;
  };
  REQUIRE(script.make());
  CHECK(enters());
  ::chmod(script.directory().c_str(), 0755);
  CHECK_FALSE(enters());
  ::chmod(script.directory().c_str(), 0700);
  CHECK(enters());
  if (::geteuid() == 0) {
    REQUIRE(::lchown(script.directory().c_str(), 65534, 65534) == 0);
    CHECK_FALSE(enters());
    REQUIRE(::lchown(script.directory().c_str(), 0, 0) == 0);
  }
  std::filesystem::remove(script.directory() + "/bash");
  std::filesystem::create_symlink("/proc/self/fd/0", script.directory() + "/bash");
  CHECK_FALSE(enters());
}

TEST_CASE("script link: a command that removes it, or worse, costs no later shell") {
  BashLane lane;
  for (const std::string& harm :
       {"rm -r " + lane.private_dir.path().string(), "ln -sf /nowhere " + lane.script.directory() + "/bash",
        "rm -r " + lane.script.directory() + "; mkdir " + lane.script.directory()}) {
    CAPTURE(harm);
    lane.text(harm + "; exit");
    CHECK(lane.text("echo ok") == "ok\n");
  }
}
