#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "protocol/event.hpp"
#include "protocol/requests.hpp"
#include "protocol/session.hpp"
#include "protocol/work.hpp"
#include "worker/client/http.hpp"
#include "worker/failure.hpp"

namespace sandbox_worker::worker {

template <class T>
using Outcome = std::expected<T, Failure>;

/// What a heartbeat came to, in the lease's terms.
struct BeatAnswer {
  enum class Kind { reply, conflict, failure, refused };
  Kind kind = Kind::failure;
  protocol::HeartbeatReply reply;               // reply
  std::optional<protocol::LeaseState> current;  // conflict
  bool answer_lost = false;                     // failure
  std::string message;                          // all but reply; one line
};

/// The service's calls, typed. One attempt each unless it says otherwise; retrying is the caller's, by
/// protocol/retry. Executor: that of the HttpClient. Cancelled: throws operation_aborted.
class Service {
 public:
  struct Ids {
    std::string session;
    std::string work;
    std::string environment;
  };

  /// `pool` encodes bodies that would hold up the main thread; `page_silence`: the longest wait for the
  /// header and for the next byte of a history page. References outlive the service.
  Service(HttpClient& http, boost::asio::any_io_executor pool, Ids ids,
          std::chrono::milliseconds page_silence);

  /// Retried as wire.md#requests says.
  boost::asio::awaitable<Outcome<protocol::Session>> session();

  boost::asio::awaitable<Outcome<std::unique_ptr<HttpStream>>> open_stream();

  struct HistorySinks {
    std::function<void(protocol::TimedEvent)> on_event;
    std::function<void(std::string)> on_skipped{};            // why; may be empty, as may what follows
    std::function<void(protocol::TimedEvent&)> on_decoded{};  // on the pool, right before on_event
  };
  /// Every page of the history. The answer to a further page is retried; one that breaks off is a failure.
  /// `from`: see protocol::get_history.
  boost::asio::awaitable<Outcome<void>> history(std::optional<protocol::ServiceTime> from,
                                                HistorySinks sinks);

  /// `body`: see protocol::post_results.
  boost::asio::awaitable<Outcome<void>> post(std::string body);

  /// `limit`: on the whole request. `on_sent`: once the request is written, before its answer.
  boost::asio::awaitable<BeatAnswer> heartbeat(std::string expected, std::chrono::milliseconds limit,
                                               std::function<void()> on_sent);

  /// Force-stops the work item; a 409 means that it has stopped already. Retried up to 2 times, with the
  /// short limits and delays that a teardown allows.
  boost::asio::awaitable<Outcome<void>> stop_work();

 private:
  boost::asio::awaitable<Outcome<HttpResponse>> send_with_retries(protocol::Request request);
  boost::asio::awaitable<Outcome<std::unique_ptr<HttpStream>>> open_page(protocol::Request request,
                                                                         int retries);

  HttpClient& http_;
  const boost::asio::any_io_executor pool_;
  const Ids ids_;
  const std::chrono::milliseconds page_silence_;
};

}  // namespace sandbox_worker::worker
