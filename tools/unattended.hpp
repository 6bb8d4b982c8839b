#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

namespace sandbox_worker::tools {

/// A coroutine that goes on when nobody waits for it any more, for work on a pool that may hang. It must own
/// all that it uses, as it may outlive whoever started it. The result type must be default constructible.
/// Executor: the coroutine's and the waiter's are one.
template <class Result>
class Unattended {
 public:
  using Clock = boost::asio::steady_timer::clock_type;

  /// Starts at once.
  Unattended(const boost::asio::any_io_executor& executor, boost::asio::awaitable<Result> coroutine)
      : state_(std::make_shared<State>(executor)) {
    boost::asio::co_spawn(executor, std::move(coroutine),
                          [state = state_](std::exception_ptr error, Result result) {
                            state->error = std::move(error);
                            state->result = std::move(result);
                            state->over.cancel();
                          });
  }

  /// Returns when it has ended, at `until`, and when the waiting coroutine is cancelled.
  boost::asio::awaitable<void> wait(Clock::time_point until = Clock::time_point::max()) {
    if (ended()) co_return;
    state_->over.expires_at(until);
    co_await state_->over.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }

  bool ended() const { return state_->result.has_value(); }

  /// What it returned, or throws what it threw; once, when it has ended.
  Result take() {
    if (state_->error) std::rethrow_exception(std::exchange(state_->error, nullptr));
    return *std::exchange(state_->result, std::nullopt);
  }

 private:
  struct State {
    explicit State(const boost::asio::any_io_executor& executor) : over(executor) {}

    boost::asio::steady_timer over;  // cancelled when it has ended
    std::optional<Result> result;
    std::exception_ptr error;
  };

  std::shared_ptr<State> state_;
};

}  // namespace sandbox_worker::tools
