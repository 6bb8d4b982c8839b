#include "tools/search_slots.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sandbox_worker::tools {

namespace asio = boost::asio;

asio::awaitable<std::optional<SearchSlots::Slot>> SearchSlots::take() {
  if (free_ > 0) {
    --free_;
    co_return Slot(*this);
  }
  Waiter waiter{
      asio::steady_timer(co_await asio::this_coro::executor, asio::steady_timer::time_point::max())};
  waiting_.push_back(&waiter);
  boost::system::error_code ignored;
  co_await waiter.timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  if (!waiter.granted) {
    waiting_.remove(&waiter);
    co_return std::nullopt;
  }
  std::optional<Slot> slot(*this);
  // Both may come in one turn of the loop.
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) slot.reset();
  co_return slot;
}

void SearchSlots::give_back() {
  if (waiting_.empty()) {
    ++free_;
    return;
  }
  Waiter* next = waiting_.front();
  waiting_.pop_front();
  next->granted = true;
  next->timer.cancel();
}

}  // namespace sandbox_worker::tools
