#pragma once

#include <boost/asio/thread_pool.hpp>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "tests/support/loopback_server.hpp"
#include "tests/unit/worker/http_fixture.hpp"
#include "worker/client/service.hpp"

namespace sandbox_worker::tests {

/// A service that gives the answers of a list, one a request, whatever is asked for; then it hangs up.
class ScriptedService {
 public:
  explicit ScriptedService(std::deque<std::string> answers)
      : answers_(std::move(answers)), server_([this](Peer& peer, int) {
          for (;;) {
            auto request = peer.read_request();
            const auto next = take(std::move(request));
            if (next.empty()) return;
            peer.write(next);
          }
        }) {}

  std::string url() const { return server_.url(); }
  /// The first lines of what was asked for.
  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  std::string take(std::string request) {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request.substr(0, request.find(" HTTP/1.1")));
    if (answers_.empty()) return {};
    auto next = std::move(answers_.front());
    answers_.pop_front();
    return next;
  }

  mutable std::mutex mutex_;  // guards the next two
  std::deque<std::string> answers_;
  std::vector<std::string> requests_;
  LoopbackServer server_;  // last: its threads use the members above
};

inline std::string status_answer(std::string_view status, std::string_view headers = {},
                                 std::string_view body = {}) {
  return "HTTP/1.1 " + std::string(status) + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         std::string(headers) + "\r\n" + std::string(body);
}

struct ServiceUnderTest {
  explicit ServiceUnderTest(const std::string& url)
      : client(url),
        service(client.client, pool.get_executor(), {"sesn_1", "work_1", "env_1"}, std::chrono::seconds(5)) {}
  ~ServiceUnderTest() { pool.join(); }

  ClientUnderTest client;
  boost::asio::thread_pool pool{1};
  worker::Service service;
};

}  // namespace sandbox_worker::tests
