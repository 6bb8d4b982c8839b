#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <memory>
#include <stop_token>
#include <type_traits>
#include <utility>

namespace sandbox_worker::tools {

/// Runs `work(std::stop_token)` on `pool` and completes with what it returns, or throws what it throws, back
/// on the executor of the awaiting coroutine. The result type must be default constructible. Cancelled: the
/// token is asked to stop, and whatever `work` then returns is still the result. `work` only polls the token:
/// request_stop() spins while a std::stop_callback is added, and the awaiting thread may be ahead of `work`'s
/// (prompt_thread.hpp).
template <class Work, class Result = std::invoke_result_t<Work, std::stop_token>>
boost::asio::awaitable<Result> offload(boost::asio::any_io_executor pool, Work work) {
  auto initiate = [](auto handler, const boost::asio::any_io_executor& on, Work job) {
    auto stop = std::make_shared<std::stop_source>();
    auto slot = boost::asio::get_associated_cancellation_slot(handler);
    if (slot.is_connected()) slot.assign([stop](boost::asio::cancellation_type) { stop->request_stop(); });
    auto home = boost::asio::prefer(boost::asio::get_associated_executor(handler),
                                    boost::asio::execution::outstanding_work.tracked);
    boost::asio::post(on, [stop, home, handler = std::move(handler), job = std::move(job)]() mutable {
      std::exception_ptr error;
      Result result{};
      try {
        result = job(stop->get_token());
      } catch (...) {
        error = std::current_exception();
      }
      boost::asio::post(home, [handler = std::move(handler), error, result = std::move(result)]() mutable {
        std::move(handler)(error, std::move(result));
      });
    });
  };
  co_return co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>,
                                                 void(std::exception_ptr, Result)>(
      initiate, boost::asio::use_awaitable, std::move(pool), std::move(work));
}

}  // namespace sandbox_worker::tools
