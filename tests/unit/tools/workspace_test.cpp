#include "tools/workspace.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "tests/support/as_user.hpp"
#include "tests/support/temp_dir.hpp"

using namespace sandbox_worker::tools;
using sandbox_worker::testing::AsUser;
using sandbox_worker::testing::TempDir;

TEST_CASE("workspace: the workdir is made, other roots must be there") {
  TempDir dir;
  auto workspace = Workspace::open(dir / "a/b", {});
  REQUIRE(workspace);
  CHECK(workspace->workdir() == dir / "a/b");
  auto missing = Workspace::open(dir / "a/b", {dir / "nothing"});
  REQUIRE_FALSE(missing);
  CHECK(missing.error() ==
        "cannot use " + dir / "nothing" + " as a directory for tools: No such file or directory");
}

TEST_CASE("workspace: a workdir that can't be made is told with the reason why") {
  const AsUser nobody;
  if (::geteuid() == 0) {
    FAIL("root can't act as another user here");
    return;
  }
  const auto refused = Workspace::open("/sandbox-worker-of-nobody/a", {});
  REQUIRE_FALSE(refused);
  CHECK(refused.error() ==
        "cannot use /sandbox-worker-of-nobody/a as a directory for tools: Permission denied");
}

TEST_CASE("workspace: a workdir that is a link is known by both of its names") {
  TempDir dir;
  dir.write("real/file", "x");
  dir.link("link", dir / "real");
  auto workspace = Workspace::open(dir / "link/", {});
  REQUIRE(workspace);
  CHECK(workspace->workdir() == dir / "real");
  for (const auto& path : {std::string("file"), dir / "link/file", dir / "real/file"}) {
    auto opened = workspace->open_file(path, O_RDONLY);
    REQUIRE(opened);
    CHECK(opened->path == dir / "real/file");
  }
}

TEST_CASE("workspace: errors name the path as it was given, the reason and what to do") {
  TempDir dir;
  auto workspace = Workspace::open(dir / "w", {});
  REQUIRE(workspace);
  const auto message = [&](std::string_view path) {
    auto opened = workspace->open_file(path, O_RDONLY);
    REQUIRE_FALSE(opened);
    return opened.error().text;
  };
  CHECK(message("a/b") == "cannot open a/b: no such file or directory; check the path, e.g. with glob");
  CHECK(message("/etc/passwd") ==
        "cannot open /etc/passwd: it is outside the directories that file tools may touch (" + dir / "w" +
            "); use a path inside them, or bash");
  CHECK(message("") == "the path is empty; name a file");
  CHECK(message(std::string_view("a\0b", 3)) ==
        "the path has a NUL byte in it; no file can have such a name");
}

TEST_CASE("workspace: a read-only root can be read and not written, also inside another root") {
  TempDir dir;
  dir.write("w/spill/out.txt", "x");
  auto workspace = Workspace::open(dir / "w", {});
  REQUIRE(workspace);
  REQUIRE(workspace->add_root(dir / "w/spill", Access::read_only));
  CHECK(workspace->open_file("spill/out.txt", O_RDONLY));
  auto place = workspace->resolve("spill/new");
  REQUIRE_FALSE(place);
  CHECK(place.error().error == EROFS);
  CHECK(workspace->resolve("new"));
}
