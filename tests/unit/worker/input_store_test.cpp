#include "worker/input_store.hpp"

#include <doctest/doctest.h>

#include <boost/asio/thread_pool.hpp>
#include <filesystem>

#include "tests/support/run.hpp"
#include "tests/support/temp_dir.hpp"

using namespace sandbox_worker;
using nlohmann::json;
using protocol::ToolUse;
using worker::InputStore;

namespace {

struct StoreUnderTest {
  explicit StoreUnderTest(InputStore::Limits limits, std::string where = "")
      : store(pool.get_executor(), where.empty() ? directory.path().string() : where, limits) {}

  ToolUse take_in(const json& input) {
    ToolUse call;
    call.input = input;
    call.bytes = input.dump().size();
    store.take_in(call);
    return call;
  }
  std::expected<json, std::string> input_of(const ToolUse& call) {
    if (call.input) return *call.input;
    return tests::run(io, [&] { return store.bring_back(call.kept); });
  }

  testing::TempDir directory;
  boost::asio::io_context io;  // outlives the pool, whose threads complete into it
  boost::asio::thread_pool pool{2};
  InputStore store;
};

json text_of(std::size_t size) {
  return {{"content", std::string(size, 'x')}};
}

}  // namespace

TEST_CASE("input store: what is past the limit waits in a file without a name, and comes back the same") {
  StoreUnderTest test({.memory = 1000, .file = 1'000'000});
  const std::vector<json> inputs = {
      text_of(700),
      text_of(800),
      text_of(200),
      text_of(200'000),
      {{"n", {1, -2.5, nullptr, true}}, {"s", "\u0000\xc3\xa4\n"}, {"e", json::object()}}};
  {
    std::vector<ToolUse> calls;
    for (const auto& input : inputs) calls.push_back(test.take_in(input));
    CHECK(calls[0].input);
    CHECK_FALSE(calls[1].input);
    CHECK(calls[2].input);
    CHECK_FALSE(calls[3].input);
    CHECK(test.store.memory_bytes() <= 1000);
    CHECK(test.store.file_bytes() > 200'000);
    CHECK(std::filesystem::is_empty(test.directory.path()));
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const auto back = test.input_of(calls[i]);
      REQUIRE(back);
      CHECK(*back == inputs[i]);
    }
  }
  CHECK(test.store.memory_bytes() == 0);
  CHECK(test.store.file_bytes() == 0);
}

TEST_CASE("input store: a call that finds no room keeps the reason, and later ones have room again") {
  StoreUnderTest test({.memory = 10, .file = 1000});
  {
    const auto first = test.take_in(text_of(900));
    const auto second = test.take_in(text_of(900));
    const auto back = test.input_of(second);
    REQUIRE_FALSE(back);
    CHECK(back.error().find("bytes of inputs wait already") != std::string::npos);
    CHECK(test.input_of(first) == text_of(900));
  }
  CHECK(test.input_of(test.take_in(text_of(900))) == text_of(900));

  StoreUnderTest nowhere({.memory = 10, .file = 1000}, "/proc/nowhere");
  const auto back = nowhere.input_of(nowhere.take_in(text_of(100)));
  REQUIRE_FALSE(back);
  CHECK(back.error().find("No such file") != std::string::npos);
}

TEST_CASE("input store: an input that can't be had is left as it is") {
  StoreUnderTest test({});
  ToolUse too_deep;
  test.store.take_in(too_deep);
  CHECK_FALSE(too_deep.input);
  CHECK_FALSE(too_deep.kept);
}
