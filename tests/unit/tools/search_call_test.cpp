#include "tools/search_call.hpp"

#include <doctest/doctest.h>
#include <sched.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <nlohmann/json.hpp>
#include <optional>

#include "tests/support/scheduling.hpp"
#include "tests/support/search_tools.hpp"

using namespace sandbox_worker::tools;
using namespace sandbox_worker::testing;

TEST_CASE("search call: the thread that waits for a search runs before all others, but not while it queues") {
  on_a_thread_that_may_run_ahead([] {
    SearchTools tree;
    SearchSlots slots{1};
    tree.options.slots = &slots;
    std::optional<SearchSlots::Slot> other;
    boost::asio::io_context io;
    const auto take = [&]() -> boost::asio::awaitable<void> { other = co_await slots.take(); };
    boost::asio::co_spawn(io, take(), [](const std::exception_ptr& error) { CHECK(!error); });
    io.run();
    REQUIRE(other);

    const pid_t waiting = ::gettid();
    const auto policy = [waiting] { return ::sched_getscheduler(waiting) & ~SCHED_RESET_ON_FORK; };
    int meanwhile = -1;
    boost::asio::co_spawn(io,
                          run_search_call("grep", {{"pattern", "x"}}, tree.options,
                                          [&](std::string_view, std::string_view, std::stop_token) {
                                            meanwhile = policy();
                                            return ToolResult::error("nothing");
                                          }),
                          [](const std::exception_ptr& error, const ToolResult& result) {
                            CHECK(!error);
                            CHECK(SearchTools::text_of(result) == "error: nothing");
                          });
    io.restart();
    io.poll();
    CHECK(meanwhile == -1);
    CHECK(policy() == SCHED_OTHER);
    other.reset();
    io.run();
    CHECK(meanwhile == SCHED_RR);
    CHECK(policy() == SCHED_OTHER);
  });
}
