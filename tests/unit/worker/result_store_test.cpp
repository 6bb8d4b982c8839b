#include "worker/result_store.hpp"

#include <doctest/doctest.h>

#include <boost/asio/thread_pool.hpp>
#include <filesystem>

#include "tests/support/run.hpp"
#include "tests/support/temp_dir.hpp"

using namespace sandbox_worker;
using worker::ResultStore;

namespace {

struct StoreUnderTest {
  explicit StoreUnderTest(ResultStore::Limits limits, std::string where = "")
      : store(pool.get_executor(), where.empty() ? directory.path().string() : where, limits) {}

  std::expected<ResultStore::Kept, std::string> put(std::string text) {
    return tests::run(io, [&] { return store.put(text); });
  }
  std::string join(std::vector<const ResultStore::Kept*> kept) {
    return tests::run(io, [&] { return store.join(kept, "<", ">"); }).value();
  }

  testing::TempDir directory;
  boost::asio::io_context io;  // outlives the pool, whose threads complete into it
  boost::asio::thread_pool pool{2};
  ResultStore store;
};

}  // namespace

TEST_CASE("result store: what is past the limit waits in a file without a name, and comes back the same") {
  StoreUnderTest test({.memory = 100, .file = 1000});
  std::vector<ResultStore::Kept> kept;
  for (const auto& text :
       {std::string(80, 'a'), std::string(300, 'b'), std::string(15, 'c'), std::string(400, 'd')}) {
    auto one = test.put(text);
    REQUIRE(one);
    kept.push_back(std::move(*one));
  }
  CHECK(test.store.memory_bytes() == 95);
  CHECK(test.store.file_bytes() == 700);
  CHECK(std::filesystem::is_empty(test.directory.path()));
  const auto whole = test.join({&kept[3], &kept[0], &kept[1], &kept[2]});
  CHECK(whole == "<" + std::string(400, 'd') + "," + std::string(80, 'a') + "," + std::string(300, 'b') +
                     "," + std::string(15, 'c') + ">");
  CHECK(test.join({}) == "<>");

  for (auto& one : kept) test.store.drop(one);
  CHECK(test.store.memory_bytes() == 0);
  CHECK(test.store.file_bytes() == 0);
}

TEST_CASE("result store: room that was given back is used again, and no more is taken than allowed") {
  StoreUnderTest test({.memory = 10, .file = 1000});
  for (int round = 0; round < 10; ++round) {
    auto first = test.put(std::string(600, 'x'));
    REQUIRE(first);
    const auto second = test.put(std::string(600, 'y'));
    REQUIRE_FALSE(second);
    CHECK(second.error().find("600 bytes") != std::string::npos);
    CHECK(test.join({&*first}) == "<" + std::string(600, 'x') + ">");
    test.store.drop(*first);
  }
}

TEST_CASE("result store: a directory that can't be written to is an error with its reason") {
  StoreUnderTest test({.memory = 10, .file = 1000}, "/proc/nowhere");
  const auto kept = test.put(std::string(600, 'x'));
  REQUIRE_FALSE(kept);
  CHECK(kept.error().find("No such file") != std::string::npos);
  const auto in_memory = test.store.keep(std::string(600, 'x'));
  CHECK(test.join({&in_memory}).size() == 602);
}
