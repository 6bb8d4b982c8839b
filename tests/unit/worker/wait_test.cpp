#include "worker/wait.hpp"

#include <doctest/doctest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/io_context.hpp>

#include "worker/task.hpp"

namespace asio = boost::asio;
using namespace sandbox_worker::worker;
using namespace std::chrono_literals;

namespace {

/// What a coroutine ends with when it is cancelled while it waits.
std::exception_ptr outcome_of_cancelling(asio::io_context& io, asio::awaitable<void> coroutine) {
  asio::cancellation_signal cancel;
  std::exception_ptr outcome;
  asio::co_spawn(
      io, std::move(coroutine),
      asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr error) { outcome = error; }));
  io.poll();
  cancel.emit(asio::cancellation_type::terminal);
  io.run();
  return outcome;
}

bool is_aborted(const std::exception_ptr& outcome) {
  if (!outcome) return false;
  try {
    std::rethrow_exception(outcome);
  } catch (const boost::system::system_error& error) {
    return error.code() == asio::error::operation_aborted;
  } catch (...) {
    return false;
  }
}

asio::awaitable<void> forever() {
  co_await sleep_until(std::chrono::steady_clock::time_point::max());
}

asio::awaitable<int> an_hour_for_one() {
  co_await sleep_until(std::chrono::steady_clock::now() + 1h);
  co_return 1;
}

}  // namespace

TEST_CASE("wait: whatever is cancelled ends by operation_aborted, and by nothing else") {
  asio::io_context io;
  Bell bell(io.get_executor());
  Gate gate(io.get_executor());
  CHECK(is_aborted(outcome_of_cancelling(io, forever())));
  io.restart();
  CHECK(is_aborted(outcome_of_cancelling(io, bell.wait())));
  io.restart();
  CHECK(is_aborted(outcome_of_cancelling(io, bell.wait_until(std::chrono::steady_clock::now() + 1h))));
  io.restart();
  CHECK(is_aborted(outcome_of_cancelling(io, gate.wait())));
  io.restart();
  const auto limited = []() -> asio::awaitable<void> { co_await within(1h, an_hour_for_one()); };
  CHECK(is_aborted(outcome_of_cancelling(io, limited())));
  io.restart();
  const auto limited_void = []() -> asio::awaitable<void> { co_await within(1h, forever()); };
  CHECK(is_aborted(outcome_of_cancelling(io, limited_void())));
}

TEST_CASE("wait: a bell wakes all who wait, each time, and none who come later") {
  asio::io_context io;
  Bell bell(io.get_executor());
  int woken = 0;
  const auto listener = [&]() -> asio::awaitable<void> {
    for (int i = 0; i < 2; ++i) {
      co_await bell.wait();
      ++woken;
    }
  };
  Task first(io.get_executor(), listener());
  Task second(io.get_executor(), listener());
  io.poll();
  bell.ring();
  io.restart();
  io.poll();
  CHECK(woken == 2);
  io.restart();
  io.poll();
  CHECK(woken == 2);
  bell.ring();
  io.restart();
  io.run();
  CHECK(woken == 4);
}

TEST_CASE("wait: a bell that doesn't ring lets its waiters go at their time") {
  asio::io_context io;
  Bell bell(io.get_executor());
  bool over = false;
  const auto waiter = [&]() -> asio::awaitable<void> {
    co_await bell.wait_until(std::chrono::steady_clock::now() + 20ms);
    over = true;
  };
  Task task(io.get_executor(), waiter());
  io.run();
  CHECK(over);
}
