#include "tools/search_call.hpp"

#include <doctest/doctest.h>
#include <sched.h>
#include <unistd.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <future>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>

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

TEST_CASE("search call: who cancels one doesn't wait for a search that can't stop; its turn ends with it") {
  SearchTools tree;
  SearchSlots slots{1};
  tree.options.slots = &slots;
  boost::asio::io_context io;
  boost::asio::cancellation_signal cancel;
  std::promise<void> release;
  std::optional<SearchSlots::Slot> next;
  const auto take = [&]() -> boost::asio::awaitable<void> { next = co_await slots.take(); };
  std::string answer;
  bool released = false;
  boost::asio::co_spawn(
      io,
      run_search_call(
          "grep", {{"pattern", "x"}}, tree.options,
          [&](std::string_view, std::string_view, const std::stop_token& stop) {
            boost::asio::post(io, [&] { cancel.emit(boost::asio::cancellation_type::terminal); });
            released = release.get_future().wait_for(std::chrono::seconds(30)) == std::future_status::ready;
            CHECK(stop.stop_requested());
            return ToolResult::text("late");
          },
          std::chrono::milliseconds(1)),
      boost::asio::bind_cancellation_slot(
          cancel.slot(), [&](const std::exception_ptr& error, const ToolResult& result) {
            CHECK(!error);
            answer = SearchTools::text_of(result);
            boost::asio::co_spawn(io, take(), [](const std::exception_ptr& failed) { CHECK(!failed); });
            boost::asio::post(io, [&] {
              CHECK_FALSE(next);
              release.set_value();
            });
          }));
  io.run();
  CHECK(answer == "error: [grep was interrupted before it could say what it had found]");
  CHECK(released);
  CHECK(next);
}

TEST_CASE("search call: a cancelled search that stops at once says what it had found") {
  SearchTools tree;
  boost::asio::io_context io;
  boost::asio::cancellation_signal cancel;
  std::string answer;
  boost::asio::co_spawn(
      io,
      run_search_call(
          "grep", {{"pattern", "x"}}, tree.options,
          [&](std::string_view, std::string_view, const std::stop_token& stop) {
            boost::asio::post(io, [&] { cancel.emit(boost::asio::cancellation_type::terminal); });
            while (!stop.stop_requested()) std::this_thread::yield();
            return ToolResult::text("so far");
          },
          std::chrono::seconds(30)),
      boost::asio::bind_cancellation_slot(cancel.slot(),
                                          [&](const std::exception_ptr& error, const ToolResult& result) {
                                            CHECK(!error);
                                            answer = SearchTools::text_of(result);
                                          }));
  io.run();
  CHECK(answer == "so far");
}
