#include "worker/runtime_dir.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/as_user.hpp"
#include "tests/support/left_out.hpp"
#include "tests/support/temp_dir.hpp"

using namespace sandbox_worker::worker;
using sandbox_worker::testing::AsUser;
using sandbox_worker::testing::leave_out;
using sandbox_worker::testing::TempDir;

namespace {

mode_t mode_of(const std::string& path) {
  struct stat info{};
  REQUIRE(::lstat(path.c_str(), &info) == 0);
  return info.st_mode & 07777U;
}

bool refused(const std::string& path, std::string_view why) {
  const auto opened = open_runtime_dir(path, {});
  if (opened) return false;
  CAPTURE(opened.error());
  CHECK(opened.error().starts_with("SANDBOX_WORKER_RUNTIME_DIR (--runtime-dir): "));
  return opened.error().find(why) != std::string::npos;
}

}  // namespace

TEST_CASE("runtime dir: the one that is named is made for us alone, with its parents") {
  const TempDir dir;
  CHECK(open_runtime_dir(dir / "a/b/run", {}) == dir / "a/b/run");
  CHECK(mode_of(dir / "a/b/run") == 0700);
  CHECK(open_runtime_dir(dir / "a/b/run", {}) == dir / "a/b/run");  // again, as a second worker would
  CHECK(open_runtime_dir(dir / "slash/", {}) == dir / "slash");
  CHECK(mode_of(dir / "slash") == 0700);
}

TEST_CASE("runtime dir: one that others can enter, a link and a file are refused") {
  const TempDir dir;
  for (const mode_t mode : {0755U, 0710U, 0701U, 0777U}) {
    const auto path = dir.make_dir("open" + std::to_string(mode));
    ::chmod(path.c_str(), mode);
    CHECK(refused(path, "others have access; chmod 700 it"));
  }
  ::chmod(dir.make_dir("ours").c_str(), 0700);
  dir.link("link", dir / "ours");
  CHECK(refused(dir / "link", "not a directory"));
  dir.link("dangling", dir / "made-by-following");
  CHECK(refused(dir / "dangling", "not a directory"));
  CHECK(!std::filesystem::exists(dir / "made-by-following"));
  CHECK(refused(dir.write("file", ""), "not a directory"));
}

TEST_CASE("runtime dir: another user's is refused, as anyone may make it first in a shared /tmp") {
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0777);
  const auto path = dir.make_dir("theirs");
  ::chmod(path.c_str(), 0700);
  {
    const AsUser nobody;
    if (!nobody.ok()) {
      leave_out("ROOT");
      return;
    }
    CHECK(refused(path, "another user's"));
  }
}

TEST_CASE("runtime dir: without a name it is below XDG_RUNTIME_DIR") {
  const TempDir dir;
  CHECK(open_runtime_dir("", {{"XDG_RUNTIME_DIR", dir.path()}}) == dir / "sandbox-worker");
  CHECK(mode_of(dir / "sandbox-worker") == 0700);
}
