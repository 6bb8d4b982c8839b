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
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

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
      run_search_call("grep", {{"pattern", "x"}}, tree.options,
                      [&](std::string_view, std::string_view, const std::stop_token& stop) {
                        boost::asio::post(io, [&] { cancel.emit(boost::asio::cancellation_type::terminal); });
                        released = release.get_future().wait_for(std::chrono::seconds(30)) ==
                                   std::future_status::ready;
                        CHECK(stop.stop_requested());
                        return ToolResult::text("late");
                      },
                      {.cancelled = std::chrono::milliseconds(1)}),
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
      run_search_call("grep", {{"pattern", "x"}}, tree.options,
                      [&](std::string_view, std::string_view, const std::stop_token& stop) {
                        boost::asio::post(io, [&] { cancel.emit(boost::asio::cancellation_type::terminal); });
                        while (!stop.stop_requested()) std::this_thread::yield();
                        return ToolResult::text("so far");
                      },
                      {.cancelled = std::chrono::seconds(30)}),
      boost::asio::bind_cancellation_slot(cancel.slot(),
                                          [&](const std::exception_ptr& error, const ToolResult& result) {
                                            CHECK(!error);
                                            answer = SearchTools::text_of(result);
                                          }));
  io.run();
  CHECK(answer == "so far");
}

TEST_CASE(
    "search call: one that hangs is answered at its time limit, and so is one that never has its turn") {
  SearchTools tree;
  SearchSlots slots{1};
  tree.options.slots = &slots;
  tree.options.limits.search_timeout = std::chrono::milliseconds(20);
  boost::asio::io_context io;
  std::promise<void> release;
  std::vector<std::string> answers;
  const auto note = [&](const std::exception_ptr& error, const ToolResult& result) {
    CHECK(!error);
    answers.push_back(SearchTools::text_of(result));
    if (answers.size() == 2) release.set_value();
  };
  const auto hang = [&](std::string_view, std::string_view, const std::stop_token&) {
    CHECK(release.get_future().wait_for(std::chrono::seconds(30)) == std::future_status::ready);
    return ToolResult::text("late");
  };
  const auto never = [](std::string_view, std::string_view, const std::stop_token&) {
    FAIL_CHECK("it has no turn");
    return ToolResult();
  };
  const SearchGrace grace{.timed_out = std::chrono::milliseconds(200)};
  boost::asio::co_spawn(io, run_search_call("grep", {{"pattern", "x"}}, tree.options, hang, grace), note);
  boost::asio::co_spawn(io, run_search_call("glob", {{"pattern", "x"}}, tree.options, never, grace), note);
  io.run();
  REQUIRE(answers.size() == 2);
  CHECK(answers[0].starts_with("error: [glob has waited 20 ms for its turn and was not run"));
  CHECK(answers[1].starts_with("error: [grep didn't stop at its time limit of 20 ms"));
}

TEST_CASE("search call: the loop may go while one search is left to itself and another one waits") {
  SearchTools tree;
  SearchSlots slots{1};
  tree.options.slots = &slots;
  std::promise<void> release;
  auto io = std::make_unique<boost::asio::io_context>();
  boost::asio::cancellation_signal cancel;
  const auto search = [&](std::string_view, std::string_view, const std::stop_token&) {
    release.get_future().wait_for(std::chrono::seconds(30));
    return ToolResult::text("late");
  };
  const auto ignore = [](const std::exception_ptr&, const ToolResult&) {};
  boost::asio::co_spawn(
      *io,
      run_search_call("grep", {{"pattern", "x"}}, tree.options, search,
                      {.cancelled = std::chrono::milliseconds(1)}),
      boost::asio::bind_cancellation_slot(cancel.slot(),
                                          [&](const std::exception_ptr&, const ToolResult&) { io->stop(); }));
  boost::asio::co_spawn(*io, run_search_call("grep", {{"pattern", "x"}}, tree.options, search), ignore);
  boost::asio::post(*io, [&] { cancel.emit(boost::asio::cancellation_type::terminal); });
  io->run();
  release.set_value();
  tree.pool.join();
  io.reset();
}
