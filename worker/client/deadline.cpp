#include "worker/client/deadline.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

namespace sandbox_worker::worker {

namespace asio = boost::asio;

asio::awaitable<bool> wait_ready(asio::posix::stream_descriptor& descriptor, Want want, Deadline deadline) {
  const auto type =
      want == Want::read ? asio::posix::descriptor_base::wait_read : asio::posix::descriptor_base::wait_write;
  if (deadline == kNoDeadline) {
    co_await descriptor.async_wait(type, asio::use_awaitable);
    co_return true;
  }
  if (Clock::now() >= deadline) co_return false;
  asio::steady_timer timer(descriptor.get_executor(), deadline);
  // The group completes only when both have, so neither outlives this frame; and neither throws.
  auto [order, ready, expired] =
      co_await asio::experimental::make_parallel_group(
          [&](auto token) { return descriptor.async_wait(type, std::move(token)); },
          [&](auto token) { return timer.async_wait(std::move(token)); })
          .async_wait(asio::experimental::wait_for_one(), asio::use_awaitable);
  if (ready && !expired) co_return false;
  if (ready == asio::error::operation_aborted)
    throw boost::system::system_error(asio::error::operation_aborted);
  co_return true;
}

}  // namespace sandbox_worker::worker
