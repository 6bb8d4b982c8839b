#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <memory>

namespace sandbox_worker::worker {

/// A coroutine that runs beside its owner. The owner joins it before what it refers to is gone.
class Task {
 public:
  /// Starts at once. An exception other than a cancellation is a bug, and ends the program.
  Task(const boost::asio::any_io_executor& executor, boost::asio::awaitable<void> coroutine);
  Task(Task&&) noexcept = default;
  Task& operator=(Task&&) noexcept = default;

  bool done() const;
  void cancel();
  /// Cancelled: throws operation_aborted, and the task goes on.
  boost::asio::awaitable<void> join();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace sandbox_worker::worker
