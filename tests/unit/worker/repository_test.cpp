#include "worker/repository.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "tests/support/temp_dir.hpp"
#include "tools/unique_fd.hpp"

using namespace sandbox_worker::worker;
using sandbox_worker::testing::TempDir;
namespace fs = std::filesystem;

namespace {

mode_t mode_of(const std::string& path) {
  struct stat info{};
  REQUIRE(::lstat(path.c_str(), &info) == 0);
  return info.st_mode & 07777U;
}

}  // namespace

TEST_CASE("repository: a copy has everything, links as links, modes kept") {
  const TempDir source;
  const TempDir work;
  source.write("README", "text");
  source.write(".git/HEAD", "ref");
  ::chmod(source.write("bin/run", "#!").c_str(), 0755);
  ::chmod(source.write("private", "x").c_str(), 0600);
  source.make_dir("empty");
  source.link("to-file", "README");
  source.link("to-directory", "bin");
  source.link("to-nothing", "nowhere");
  source.link("to-itself", "to-itself");
  CHECK(copy_repository(source.path(), work.path(), "repo", {}) == RepositoryCopy::made);
  CHECK(work.read("repo/README") == "text");
  CHECK(work.read("repo/.git/HEAD") == "ref");
  CHECK(mode_of(work / "repo/bin/run") == 0755);
  CHECK(mode_of(work / "repo/private") == 0600);
  CHECK(fs::is_directory(work / "repo/empty"));
  CHECK(fs::read_symlink(work / "repo/to-file") == "README");
  CHECK(fs::read_symlink(work / "repo/to-directory") == "bin");
  CHECK(fs::read_symlink(work / "repo/to-nothing") == "nowhere");
  CHECK(fs::read_symlink(work / "repo/to-itself") == "to-itself");
  CHECK(fs::directory_iterator(work.path())->path().filename() == "repo");  // and nothing beside it
}

TEST_CASE("repository: what is there already stays as it is, whatever it is") {
  const TempDir source;
  source.write("file", "new");
  const TempDir work;
  work.write("directory/file", "old");
  work.write("file", "old");
  work.link("link", "nowhere");
  for (const char* name : {"directory", "file", "link"}) {
    CHECK(copy_repository(source.path(), work.path(), name, {}) == RepositoryCopy::was_there);
  }
  CHECK(work.read("directory/file") == "old");
}

TEST_CASE("repository: no source is no error, a bad name is one, and nothing is made") {
  const TempDir work;
  CHECK(copy_repository(work / "missing", work.path(), "repo", {}) == RepositoryCopy::no_source);
  const TempDir source;
  for (const char* name : {"", ".", "..", "a/b", "/"}) {
    const auto copied = copy_repository(source.path(), work.path(), name, {});
    REQUIRE(!copied);
    CHECK(copied.error() == fmt::format("'{}' is not the name of a directory", name));
  }
  CHECK(fs::is_empty(work.path()));
}

TEST_CASE("repository: asked to stop, it leaves nothing behind") {
  const TempDir source;
  source.write("a", "x");
  const TempDir work;
  std::stop_source stop;
  stop.request_stop();
  CHECK(!copy_repository(source.path(), work.path(), "repo", stop.get_token()));
  CHECK(fs::is_empty(work.path()));
}

TEST_CASE("repository: what killed workers left half done is removed, another's copy under way is not") {
  const TempDir source;
  source.write("a", "whole");
  const TempDir work;
  work.write(fmt::format(".repo.{}/a", ::getpid()), "ha");
  work.write(fmt::format(".repo.{}/stray", ::getpid()), "x");
  work.write(".repo.1234567/a", "ha");
  work.write(".repo.7654321/a", "under way");
  work.write(".repo.d/a", "the agent's");
  const sandbox_worker::tools::UniqueFd other(::open((work / ".repo.7654321").c_str(), O_RDONLY | O_CLOEXEC));
  REQUIRE(::flock(other.get(), LOCK_EX) == 0);
  CHECK(copy_repository(source.path(), work.path(), "repo", {}) == RepositoryCopy::made);
  CHECK(work.read("repo/a") == "whole");
  CHECK(!fs::exists(work / "repo/stray"));
  CHECK(!fs::exists(work / ".repo.1234567"));
  CHECK(work.read(".repo.7654321/a") == "under way");
  CHECK(work.read(".repo.d/a") == "the agent's");
}

TEST_CASE("repository: sockets and pipes, which nobody can copy, are left out") {
  const TempDir source;
  source.write("a", "x");
  REQUIRE(::mkfifo((source / "pipe").c_str(), 0600) == 0);
  const sandbox_worker::tools::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto path = source / "socket";
  REQUIRE(path.size() < sizeof address.sun_path);
  std::strcpy(address.sun_path, path.c_str());
  REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  const TempDir work;
  CHECK(copy_repository(source.path(), work.path(), "repo", {}) == RepositoryCopy::made);
  CHECK(work.read("repo/a") == "x");
  CHECK(!fs::exists(fs::symlink_status(work / "repo/pipe")));
}
