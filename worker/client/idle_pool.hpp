#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <list>
#include <memory>

#include "worker/client/connection.hpp"
#include "worker/client/deadline.hpp"

namespace sandbox_worker::worker {

/// Kept-alive connections that wait for a request. Each is watched: one that the server closes, or that says
/// something unasked, is dropped at once. Make it with make_shared: its handlers hold it weakly.
class IdlePool : public std::enable_shared_from_this<IdlePool> {
 public:
  explicit IdlePool(const boost::asio::any_io_executor& executor);

  /// The connection that was used last, found open at this moment; null if there is none.
  std::unique_ptr<Connection> take();
  void put(std::unique_ptr<Connection> connection);
  void clear();
  std::size_t size() const { return idle_.size(); }

 private:
  struct Entry {
    std::uint64_t id;
    Deadline drop_at;
    std::unique_ptr<Connection> connection;
  };

  void watch(Entry& entry);
  void on_readable(std::uint64_t id);
  void schedule();
  void drop_expired();

  boost::asio::steady_timer timer_;
  std::list<Entry> idle_;  // oldest first
  std::uint64_t last_id_ = 0;
};

}  // namespace sandbox_worker::worker
