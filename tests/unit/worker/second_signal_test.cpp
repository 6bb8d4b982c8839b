#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <csignal>
#include <exception>
#include <optional>

#include "worker/process_setup.hpp"

namespace asio = boost::asio;
using namespace std::chrono_literals;
using sandbox_worker::worker::second_signal;

namespace {

struct Waiting {
  explicit Waiting(std::chrono::milliseconds since_first) {
    asio::co_spawn(io, second_signal(signals, SIGUSR1, std::chrono::steady_clock::now() - since_first),
                   [this](const std::exception_ptr&, int number) { seen = number; });
    io.poll();
  }
  /// Until the signal has been taken.
  void raise(int number) {
    ::raise(number);
    io.run_one_for(5s);
    io.poll();
  }

  asio::io_context io{1};
  asio::signal_set signals{io, SIGUSR1, SIGUSR2};
  std::optional<int> seen{};
};

}  // namespace

TEST_CASE("second signal: the same one at once is the first, sent twice; another one isn't") {
  Waiting waiting(-1h);  // the first came late enough for any machine
  waiting.raise(SIGUSR1);
  waiting.raise(SIGUSR1);
  CHECK_FALSE(waiting.seen.has_value());
  waiting.raise(SIGUSR2);
  CHECK(waiting.seen == SIGUSR2);
}

TEST_CASE("second signal: the same one later counts") {
  Waiting waiting(1s);
  waiting.raise(SIGUSR1);
  CHECK(waiting.seen == SIGUSR1);
}
