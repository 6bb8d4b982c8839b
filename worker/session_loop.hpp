#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "protocol/ledger.hpp"
#include "protocol/sse.hpp"
#include "worker/client/service.hpp"
#include "worker/dispatcher.hpp"
#include "worker/end.hpp"
#include "worker/log.hpp"
#include "worker/wait.hpp"

namespace sandbox_worker::worker {

/// Keeps a stream open, reads the history after each opening, and carries out what the ledger decides.
/// Executor: one, for everything. References outlive run().
class SessionLoop {
 public:
  struct Options {
    boost::asio::any_io_executor executor;
    boost::asio::any_io_executor pool;  // decodes large events
    std::chrono::milliseconds stream_silence;
    std::chrono::steady_clock::time_point started;           // for the log
    std::function<void(const std::string& id)> on_answered;  // an answer to the call, ours or not, was seen
    std::function<void(protocol::ToolUse&)>
        on_call;  // decoded, before anybody sees it; on the main thread or the pool
  };

  SessionLoop(Options options, Service& service, protocol::Ledger& ledger, Dispatcher& dispatcher, End& end,
              const Log& log);

  /// Until it is cancelled, or the session can't be served any more.
  boost::asio::awaitable<void> run();

  /// The process was away, and its connections are given up: the stream is opened anew at once.
  void on_woken();

  /// After run(): reads the history once more, for answers alone.
  boost::asio::awaitable<void> look_for_answers();

  /// A call's answer is with the service, or there will be none.
  void on_closed(const std::string& id);

 private:
  boost::asio::awaitable<bool> check_session();
  boost::asio::awaitable<void> follow(HttpStream& stream);
  /// Again and again, while the stream is open, until it was read.
  boost::asio::awaitable<void> read_history();
  /// Why it could not be read; nothing when it was.
  boost::asio::awaitable<std::optional<Failure>> read_history_once();
  boost::asio::awaitable<void> read_stream(HttpStream& stream);
  boost::asio::awaitable<void> on_sse(protocol::SseEvent event);
  void take_in(protocol::Event& event) const;
  /// What others than the ledger must know of an event: before the ledger decides, and after.
  void note_answer(const protocol::Event& event) const;
  void note_thread_end(const std::optional<protocol::ThreadTerminated>& ended);
  void apply(protocol::Ledger::Actions actions);
  void arm_idle_timer();

  const Options options_;
  Service& service_;
  protocol::Ledger& ledger_;
  Dispatcher& dispatcher_;
  End& end_;
  const Log& log_;

  boost::asio::steady_timer idle_timer_;
  Bell woken_;
  bool reconnect_at_once_ = false;
  bool first_attach_ = true;
  bool stream_gave_event_ = false;  // of the stream that is open
  bool stream_broken_ = false;      // it said that it ends
};

}  // namespace sandbox_worker::worker
