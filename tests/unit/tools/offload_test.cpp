#include "tools/offload.hpp"

#include <doctest/doctest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <stdexcept>
#include <thread>

namespace asio = boost::asio;
using sandbox_worker::tools::offload;

TEST_CASE("offload: the result comes back on the executor that asked") {
  asio::io_context io;
  asio::thread_pool pool(1);
  std::thread::id ran_on;
  std::thread::id came_back_on;
  int value = 0;
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        value = co_await offload(pool.get_executor(), [&](std::stop_token) {
          ran_on = std::this_thread::get_id();
          return 7;
        });
        came_back_on = std::this_thread::get_id();
      },
      [](std::exception_ptr error) { CHECK(!error); });
  io.run();
  CHECK(value == 7);
  CHECK(came_back_on == std::this_thread::get_id());
  CHECK(ran_on != came_back_on);
}

TEST_CASE("offload: what the work throws reaches the one who awaits it") {
  asio::io_context io;
  asio::thread_pool pool(1);
  bool thrown = false;
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        co_await offload(pool.get_executor(), [](std::stop_token) -> int { throw std::runtime_error("no"); });
      },
      [&](std::exception_ptr error) { thrown = error != nullptr; });
  io.run();
  CHECK(thrown);
}

TEST_CASE("offload: a cancelled work is told to stop, and its partial result is kept") {
  asio::io_context io;
  asio::thread_pool pool(1);
  asio::cancellation_signal cancel;
  int value = 0;
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        value = co_await offload(pool.get_executor(), [&](std::stop_token stop) {
          asio::post(io, [&] { cancel.emit(asio::cancellation_type::terminal); });
          while (!stop.stop_requested()) std::this_thread::yield();
          return 3;
        });
      },
      asio::bind_cancellation_slot(cancel.slot(), [](std::exception_ptr error) { CHECK(!error); }));
  io.run();
  CHECK(value == 3);
}
