#include "tools/spill.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "tests/support/temp_dir.hpp"

using namespace sandbox_worker::tools;
using sandbox_worker::testing::TempDir;

TEST_CASE("spill: files are private, and gone with their store") {
  const TempDir dir;
  const std::string path = dir.path().string() + "/run/spill";
  {
    auto store = SpillStore::open(path);
    REQUIRE(store);
    struct stat status{};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0700);
    auto file = (*store)->create("bash", Freeing::aside);
    REQUIRE(file);
    file->append("text");
    REQUIRE(::stat(file->path().c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    CHECK(status.st_size == 4);
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("spill: a file keeps what fits, and says that it isn't whole") {
  const TempDir dir;
  auto store = SpillStore::open(dir.path().string() + "/spill", {.per_file = 10, .in_all = 100});
  REQUIRE(store);
  auto file = (*store)->create("bash", Freeing::aside);
  REQUIRE(file);
  file->append("12345678");
  CHECK(file->complete());
  file->append("9abc");
  CHECK_FALSE(file->complete());
  CHECK(std::filesystem::file_size(file->path()) == 10);
}

TEST_CASE("spill: the oldest files make room for new ones") {
  for (const Freeing freeing : {Freeing::by_writer, Freeing::aside}) {
    const TempDir dir;
    auto store = SpillStore::open(dir.path().string() + "/spill", {.per_file = 10, .in_all = 25});
    REQUIRE(store);
    std::string paths[3];
    for (auto& path : paths) {
      auto file = (*store)->create("bash", freeing);
      REQUIRE(file);
      path = file->path();
      file->append("0123456789");
      CHECK(file->complete());
    }
    CHECK_FALSE(std::filesystem::exists(paths[0]));
    CHECK(std::filesystem::exists(paths[1]));
    CHECK(std::filesystem::exists(paths[2]));
    store->reset();
    CHECK_FALSE(std::filesystem::exists(dir.path() / "spill"));
  }
}

TEST_CASE("spill: a file that was dropped while it is written says that it isn't whole") {
  const TempDir dir;
  auto store = SpillStore::open(dir.path().string() + "/spill", {.per_file = 100, .in_all = 25});
  REQUIRE(store);
  auto first = (*store)->create("bash", Freeing::aside);
  first->append("0123456789");
  auto second = (*store)->create("grep", Freeing::by_writer);
  second->append("0123456789abcdefghij");
  CHECK(second->complete());
  first->append("abcde");
  CHECK_FALSE(first->complete());
  CHECK_FALSE(std::filesystem::exists(first->path()));
  second->append("0123456789");  // it can't make room by dropping itself
  CHECK_FALSE(second->complete());
  CHECK(std::filesystem::file_size(second->path()) == 20);
}

TEST_CASE("spill: a file in the place of the directory is refused") {
  const TempDir dir;
  const auto store = SpillStore::open("/dev/null");
  REQUIRE_FALSE(store);
  CHECK(store.error() == "spill directory /dev/null: not a directory");
}
