#include "worker/client/idle_pool.hpp"

#include <algorithm>

namespace sandbox_worker::worker {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

/// More requests than this at once are a burst, and their connections not worth keeping.
constexpr std::size_t kMostIdle = 8;
/// Servers and balancers close idle connections after a minute or so, some without a word. Well below that, a
/// request rarely meets a dead one.
constexpr auto kIdleLimit = 30s;

}  // namespace

IdlePool::IdlePool(const asio::any_io_executor& executor) : timer_(executor) {}

std::unique_ptr<Connection> IdlePool::take() {
  while (!idle_.empty()) {
    Entry entry = std::move(idle_.back());
    idle_.pop_back();
    entry.connection->descriptor().cancel();
    // After a stop of the process, a request may come before the timer does.
    if (Clock::now() < entry.drop_at && entry.connection->is_quiet()) return std::move(entry.connection);
  }
  return nullptr;
}

void IdlePool::put(std::unique_ptr<Connection> connection) {
  if (idle_.size() >= kMostIdle) idle_.pop_front();
  idle_.push_back({++last_id_, Clock::now() + kIdleLimit, std::move(connection)});
  watch(idle_.back());
  if (idle_.size() == 1) schedule();
}

void IdlePool::clear() {
  idle_.clear();
  timer_.cancel();
}

void IdlePool::watch(Entry& entry) {
  entry.connection->descriptor().async_wait(
      asio::posix::descriptor_base::wait_read,
      [weak = weak_from_this(), id = entry.id](boost::system::error_code error) {
        if (auto self = weak.lock(); self && !error) self->on_readable(id);
      });
}

void IdlePool::on_readable(std::uint64_t id) {
  const auto found = std::ranges::find(idle_, id, &Entry::id);
  if (found == idle_.end()) return;
  // Session tickets of TLS make a socket readable too, and are no reason to give it up.
  if (found->connection->is_quiet()) {
    watch(*found);
  } else {
    idle_.erase(found);
  }
}

void IdlePool::schedule() {
  timer_.expires_at(idle_.front().drop_at);
  timer_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
    if (auto self = weak.lock(); self && !error) self->drop_expired();
  });
}

void IdlePool::drop_expired() {
  const auto now = Clock::now();
  while (!idle_.empty() && idle_.front().drop_at <= now) idle_.pop_front();
  if (!idle_.empty()) schedule();
}

}  // namespace sandbox_worker::worker
