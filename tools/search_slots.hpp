#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <list>
#include <optional>
#include <utility>

namespace sandbox_worker::tools {

/// How many searches run at once, over all lanes: each keeps a thread of the pool for as long as it takes,
/// and reading and writing files must find one. Those that wait get their turn in order, and can be
/// cancelled. Executor: one, for everything. Outlives the slots.
class SearchSlots {
 public:
  explicit SearchSlots(unsigned count) : free_(count) {}

  /// The right to run one search, until it is destroyed.
  class Slot {
   public:
    explicit Slot(SearchSlots& slots) : slots_(&slots) {}
    Slot(Slot&& other) noexcept : slots_(std::exchange(other.slots_, nullptr)) {}
    Slot& operator=(Slot&& other) noexcept {
      std::swap(slots_, other.slots_);
      return *this;
    }
    ~Slot() {
      if (slots_) slots_->give_back();
    }

   private:
    SearchSlots* slots_;
  };

  /// Nothing when it is cancelled, or has no turn by `until`.
  boost::asio::awaitable<std::optional<Slot>> take(
      std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max());

 private:
  struct Waiter {
    Waiter(SearchSlots& all, const boost::asio::any_io_executor& executor,
           std::chrono::steady_clock::time_point until);
    ~Waiter();
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

    SearchSlots& slots;
    boost::asio::steady_timer timer;  // cancelled when its turn has come
    bool granted = false;
  };

  void give_back();

  unsigned free_;
  std::list<Waiter*> waiting_;
};

}  // namespace sandbox_worker::tools
