#include "worker/task.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/system/system_error.hpp>
#include <exception>

#include "worker/wait.hpp"

namespace sandbox_worker::worker {

namespace asio = boost::asio;

struct Task::State {
  explicit State(const asio::any_io_executor& executor) : done(executor) {}

  asio::cancellation_signal cancel;
  Gate done;
};

Task::Task(const asio::any_io_executor& executor, asio::awaitable<void> coroutine)
    : state_(std::make_shared<State>(executor)) {
  asio::co_spawn(
      executor, std::move(coroutine),
      asio::bind_cancellation_slot(state_->cancel.slot(), [state = state_](const std::exception_ptr& error) {
        try {
          if (error) std::rethrow_exception(error);
        } catch (const boost::system::system_error& failure) {
          if (failure.code() != asio::error::operation_aborted) throw;
        }
        state->done.open();
      }));
}

bool Task::done() const {
  return state_->done.is_open();
}

void Task::cancel() {
  if (!done()) state_->cancel.emit(asio::cancellation_type::terminal);
}

asio::awaitable<void> Task::join() {
  const auto state = state_;
  co_await state->done.wait();
}

}  // namespace sandbox_worker::worker
