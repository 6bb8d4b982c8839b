#include "tools/workspace.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <string>
#include <thread>

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
  CHECK(message("") == "the path is empty; name a file or directory");
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

TEST_CASE("workspace: a root that is removed or moved, and made again, is used as it is now") {
  TempDir dir;
  dir.write("w/f", "old");
  dir.write("r/g", "old");
  const auto workspace = Workspace::open(dir / "w", {dir / "r"});
  REQUIRE(workspace);
  std::filesystem::remove_all(dir / "w");
  dir.write("w/new", "");
  CHECK(workspace->open_file("new", O_RDONLY));
  CHECK(workspace->open_file(dir / "w/new", O_RDONLY));
  {
    const auto place = workspace->resolve("a/b", 0777);
    CHECK(place);
    CHECK(std::filesystem::exists(dir / "w/a"));
  }
  CHECK_FALSE(std::filesystem::exists(dir / "w/a"));
  std::filesystem::rename(dir / "r", dir / "elsewhere");
  dir.write("r/new", "");
  CHECK(workspace->open_file(dir / "r/new", O_RDONLY));
  CHECK_FALSE(workspace->open_file(dir / "r/g", O_RDONLY));
  CHECK(workspace->open_file("new", O_RDONLY));
}

TEST_CASE("workspace: a root that is gone is an error of its own, and the workdir is made again to write") {
  TempDir dir;
  dir.write("top/w/f", "");
  dir.write("r/g", "");
  const auto workspace = Workspace::open(dir / "top/w", {dir / "r"});
  REQUIRE(workspace);
  std::filesystem::remove_all(dir / "top");
  const auto gone = "cannot open f: " + dir / "top/w" +
                    ", which the file tools work in, was removed; make the directory again with bash";
  const auto opened = workspace->open_file("f", O_RDONLY);
  REQUIRE_FALSE(opened);
  CHECK(opened.error().text == gone);
  const auto place = workspace->resolve("f");
  REQUIRE_FALSE(place);
  CHECK(place.error().text == gone);
  CHECK_FALSE(workspace->open_file(".", O_RDONLY));
  CHECK(workspace->open_file(dir / "r/g", O_RDONLY));
  CHECK_FALSE(std::filesystem::exists(dir / "top"));
  CHECK(workspace->resolve("f", 0777));
  CHECK(std::filesystem::is_directory(dir / "top/w"));
}

TEST_CASE("workspace: a link that takes the place of a root, or of a directory above it, is not followed") {
  TempDir dir;
  dir.write("top/w/f", "inside");
  dir.write("out/w/f", "OUTSIDE");
  const auto workspace = Workspace::open(dir / "top/w", {});
  REQUIRE(workspace);
  for (const char* name : {"top/w", "top"}) {
    CAPTURE(name);
    std::filesystem::remove_all(dir / name);
    dir.link(name, dir / (std::string("out") + std::string(name).substr(3)));
    const auto opened = workspace->open_file("f", O_RDONLY);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().text.find("is something else than a directory now") != std::string::npos);
    CHECK_FALSE(workspace->resolve("f", 0777));
  }
}

TEST_CASE("workspace: while its workdir is swapped, each thread finds one of the two, whole") {
  TempDir dir;
  dir.write("w/f", "a");
  dir.write("other/f", "b");
  const auto workspace = Workspace::open(dir / "w", {});
  REQUIRE(workspace);
  std::atomic<int> running = 3;
  std::atomic<int> missed = 0;
  std::vector<std::jthread> users;
  for (int i = 0; i < 3; ++i)
    users.emplace_back([&] {
      for (int j = 0; j < 2'000; ++j)
        if (!workspace->open_file("f", O_RDONLY)) ++missed;
      --running;
    });
  while (running > 0) {
    ::renameat2(AT_FDCWD, (dir / "w").c_str(), AT_FDCWD, (dir / "other").c_str(), RENAME_EXCHANGE);
  }
  users.clear();
  CHECK(missed == 0);
}
