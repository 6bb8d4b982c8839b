#include "tools/script_link.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <utility>

#include "tests/support/bash_lane.hpp"
#include "tests/support/temp_dir.hpp"
#include "tools/bash_process.hpp"
#include "tools/unique_fd.hpp"

using sandbox_worker::testing::BashLane;
using sandbox_worker::testing::TempDir;
using sandbox_worker::tools::kScriptFd;
using sandbox_worker::tools::ScriptLink;
using sandbox_worker::tools::UniqueFd;

TEST_CASE("script link: is there as long as it is held") {
  const TempDir dir;
  {
    auto first = ScriptLink::make(dir.path());
    const auto second = ScriptLink::make(dir.path());
    REQUIRE(first);
    REQUIRE(second);
    CHECK(first->directory() != second->directory());
    const ScriptLink moved = std::move(*first);
    first.reset();
    CHECK(std::filesystem::read_symlink(moved.directory() + "/bash") == ScriptLink::kTarget);
    struct stat made{};
    REQUIRE(::stat(moved.directory().c_str(), &made) == 0);
    CHECK((made.st_mode & 07777) == 0700);
  }
  CHECK(std::filesystem::is_empty(dir.path()));
  dir.make_dir("shell-left");
  dir.link("shell-Left2/bash", ScriptLink::kTarget);
  dir.write("journal", "");
  ScriptLink::remove_left(dir.path());
  ScriptLink::remove_left(dir / "missing");
  CHECK(dir.list() == "journal");
  CHECK_FALSE(ScriptLink::make(dir / "missing"));
  CHECK_FALSE(ScriptLink::make(""));
}

TEST_CASE("script link: a place that isn't ours alone, or has no script to open, is not entered") {
  const TempDir dir;
  const auto here = std::filesystem::current_path();
  const auto script = ScriptLink::make(dir.path());
  REQUIRE(script);
  const std::string& place = script->directory();
  const auto enters = [&] {
    const bool entered = ScriptLink::enter(place.c_str());
    std::filesystem::current_path(here);
    return entered;
  };
  CHECK_FALSE(enters());
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const UniqueFd read_end(ends[0]);
  const UniqueFd write_end(ends[1]);
  const UniqueFd opened(::dup2(read_end.get(), kScriptFd));
  REQUIRE(opened.get() == kScriptFd);
  CHECK(enters());
  ::chmod(place.c_str(), 0755);
  CHECK_FALSE(enters());
  ::chmod(place.c_str(), 0700);
  CHECK(enters());
  if (::geteuid() == 0) {
    REQUIRE(::lchown(place.c_str(), 65534, 65534) == 0);
    CHECK_FALSE(enters());
    REQUIRE(::lchown(place.c_str(), 0, 0) == 0);
  }
  std::filesystem::remove(place + "/bash");
  CHECK_FALSE(enters());
  std::ofstream(place + "/bash") << "exit 3";
  CHECK_FALSE(enters());
}

TEST_CASE("script link: is gone once the shell runs, and a shell that can't have one works all the same") {
  BashLane lane;
  lane.text("kept=1");
  CHECK(std::filesystem::is_empty(lane.private_dir.path()));
  CHECK(lane.text("missing || true") == "bash: line 1: missing: command not found\n");
  lane.text("rm -r " + lane.private_dir.path().string() + "; cd /usr");
  lane.text("exit");
  CHECK(lane.text("pwd; echo $0; exec 3<&0; cat <&3") == "/usr\nbash\n");
  CHECK(lane.text("missing || true") ==
        std::string(ScriptLink::kTarget) + ": line 1: missing: command not found\n");
  std::filesystem::create_directory(lane.private_dir.path());
  lane.text("exit");
  CHECK(lane.text("missing || true") == "bash: line 1: missing: command not found\n");
}
