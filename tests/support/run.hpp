#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <exception>
#include <optional>
#include <stdexcept>
#include <utility>

namespace sandbox_worker::tests {

/// Runs `make()`, a coroutine, on `io` to its end; throws what it throws. Ten seconds without an end is a
/// failure.
template <class Make>
auto run(boost::asio::io_context& io, Make make) {
  using Value = typename decltype(make())::value_type;
  std::optional<Value> value;
  std::exception_ptr error;
  bool done = false;
  boost::asio::co_spawn(io, make(), [&](std::exception_ptr thrown, Value result) {
    done = true;
    error = thrown;
    if (!thrown) value.emplace(std::move(result));
    io.stop();
  });
  io.restart();
  io.run_for(std::chrono::seconds(10));
  if (!done) throw std::runtime_error("the coroutine did not end within 10 s");
  if (error) std::rethrow_exception(error);
  return std::move(*value);
}

}  // namespace sandbox_worker::tests
