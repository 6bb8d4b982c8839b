#include "tools/search_slots.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sandbox_worker::tools {

namespace asio = boost::asio;

SearchSlots::Waiter::Waiter(SearchSlots& all, const asio::any_io_executor& executor,
                            std::chrono::steady_clock::time_point until)
    : slots(all), timer(executor, until) {
  slots.waiting_.push_back(this);
}

/// Also where its coroutine is destroyed as the loop has ended, and a search gives its slot back after that.
SearchSlots::Waiter::~Waiter() {
  slots.waiting_.remove(this);
}

asio::awaitable<std::optional<SearchSlots::Slot>> SearchSlots::take(
    std::chrono::steady_clock::time_point until) {
  if (free_ > 0) {
    --free_;
    co_return Slot(*this);
  }
  Waiter waiter(*this, co_await asio::this_coro::executor, until);
  boost::system::error_code ignored;
  co_await waiter.timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  if (!waiter.granted) co_return std::nullopt;
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
