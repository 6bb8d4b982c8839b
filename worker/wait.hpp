#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/multiple_exceptions.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <chrono>
#include <exception>
#include <optional>
#include <utility>
#include <variant>

namespace sandbox_worker::worker {

/// Cancelled: throws operation_aborted.
inline boost::asio::awaitable<void> sleep_until(std::chrono::steady_clock::time_point when) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, when);
  co_await timer.async_wait(boost::asio::use_awaitable);
}

/// For `a || b`, which throws all exceptions in one when both ended by an exception: here that is when both
/// are cancelled, and the first one, operation_aborted, says it.
template <class T>
boost::asio::awaitable<T> first_error_of(boost::asio::awaitable<T> both) {
  try {
    co_return co_await std::move(both);
  } catch (const boost::asio::multiple_exceptions& errors) {
    std::rethrow_exception(errors.first_exception());
  }
}

/// The outcome of `operation`, or nothing when it is cut off by the limit. `operation` must not throw but
/// when it is cancelled: the operator waits for a success.
template <class T>
boost::asio::awaitable<std::optional<T>> within(std::chrono::milliseconds limit,
                                                boost::asio::awaitable<T> operation) {
  using namespace boost::asio::experimental::awaitable_operators;
  auto outcome =
      co_await first_error_of(std::move(operation) || sleep_until(std::chrono::steady_clock::now() + limit));
  if (outcome.index() == 0) co_return std::get<0>(std::move(outcome));
  co_return std::nullopt;
}

/// The same for an operation without an outcome: did it end in time?
inline boost::asio::awaitable<bool> within(std::chrono::milliseconds limit,
                                           boost::asio::awaitable<void> operation) {
  using namespace boost::asio::experimental::awaitable_operators;
  const auto outcome =
      co_await first_error_of(std::move(operation) || sleep_until(std::chrono::steady_clock::now() + limit));

  co_return outcome.index() == 0;
}

/// A door that opens once; any number of coroutines wait for it. Executor: as its waiters.
class Gate {
 public:
  explicit Gate(const boost::asio::any_io_executor& executor)
      : timer_(executor, boost::asio::steady_timer::time_point::max()) {}

  bool is_open() const { return open_; }
  void open() {
    open_ = true;
    timer_.cancel();
  }
  /// Cancelled: throws operation_aborted.
  boost::asio::awaitable<void> wait() {
    while (!open_) {
      boost::system::error_code ignored;
      co_await timer_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
      const auto state = co_await boost::asio::this_coro::cancellation_state;
      if (state.cancelled() != boost::asio::cancellation_type::none) {
        throw boost::system::system_error(boost::asio::error::operation_aborted);
      }
    }
  }

 private:
  boost::asio::steady_timer timer_;
  bool open_ = false;
};

/// Wakes all that wait for it, each time that it rings. Executor: as its waiters.
class Bell {
 public:
  explicit Bell(const boost::asio::any_io_executor& executor)
      : timer_(executor, boost::asio::steady_timer::time_point::max()) {}

  void ring() {
    ++rings_;
    timer_.cancel();
  }
  /// Until the next ring. Cancelled: throws operation_aborted.
  boost::asio::awaitable<void> wait() {
    const auto before = rings_;
    while (rings_ == before) {
      boost::system::error_code ignored;
      co_await timer_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
      const auto state = co_await boost::asio::this_coro::cancellation_state;
      if (state.cancelled() != boost::asio::cancellation_type::none) {
        throw boost::system::system_error(boost::asio::error::operation_aborted);
      }
    }
  }
  /// The same, until `when` at the latest.
  boost::asio::awaitable<void> wait_until(std::chrono::steady_clock::time_point when) {
    using namespace boost::asio::experimental::awaitable_operators;
    co_await first_error_of(sleep_until(when) || wait());
  }

 private:
  boost::asio::steady_timer timer_;
  unsigned rings_ = 0;
};

}  // namespace sandbox_worker::worker
