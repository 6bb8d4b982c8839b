#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <list>
#include <string>

#include "protocol/requests.hpp"
#include "worker/client/service.hpp"
#include "worker/log.hpp"
#include "worker/task.hpp"

namespace sandbox_worker::worker {

/// Posts results, each until the service has it or refuses it for good; a slow one holds up no other.
/// Executor: one, for everything; join close() before destruction.
class Outbox {
 public:
  /// `is_answered`: the call's answer has been seen in the session. `on_closed`: nothing more will be posted
  /// for it.
  Outbox(boost::asio::any_io_executor executor, Service& service,
         std::function<bool(const std::string& id)> is_answered,
         std::function<void(const std::string& id)> on_closed, const Log& log);

  void add(protocol::CallResult result);

  /// Waits until everything is posted, at most for `limit`; what is left then is given up with a log line.
  boost::asio::awaitable<void> close(std::chrono::milliseconds limit);

 private:
  struct Posting {
    std::string id;
    Task task;
  };

  boost::asio::awaitable<void> post(protocol::CallResult result);
  boost::asio::awaitable<void> join_all();
  void sweep();

  const boost::asio::any_io_executor executor_;
  Service& service_;
  const std::function<bool(const std::string&)> is_answered_;
  const std::function<void(const std::string&)> on_closed_;
  const Log& log_;
  std::list<Posting> postings_;
};

}  // namespace sandbox_worker::worker
