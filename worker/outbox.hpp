#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <expected>
#include <functional>
#include <list>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "protocol/delivery.hpp"
#include "protocol/requests.hpp"
#include "worker/client/service.hpp"
#include "worker/log.hpp"
#include "worker/result_store.hpp"
#include "worker/task.hpp"
#include "worker/wait.hpp"

namespace sandbox_worker::worker {

/// Posts results, each until the service has it or refuses it for good. Results that wait at the same moment
/// share a request; one that is slow holds up none that come later. When and how a result is sent again is
/// protocol/delivery's to say. Executor: one, for everything; join close() before destruction.
class Outbox {
 public:
  struct Options {
    boost::asio::any_io_executor executor;
    boost::asio::any_io_executor pool;
    std::string directory;  // private, for results that wait in a file
    /// The call's answer has been seen in the session.
    std::function<bool(const std::string& id)> is_answered;
    /// Where to read the history from to find the answer to any open call: Ledger::history_from.
    std::function<std::optional<protocol::ServiceTime>()> history_from;
    /// Nothing more will be posted for this call.
    std::function<void(const std::string& id)> on_closed;
  };

  Outbox(Options options, Service& service, const Log& log);

  void add(protocol::CallResult result) { add(std::move(result), protocol::Delivery(Clock::now())); }
  /// `delivery`: what became of it so far.
  void add(protocol::CallResult result, protocol::Delivery delivery);

  /// Tries everything once more, waits until all is posted, at most for `limit`; what is left then is given
  /// up with a log line.
  boost::asio::awaitable<void> close(std::chrono::milliseconds limit);
  /// Nothing runs any more. False after a close() that was cancelled: a thread of the pool may use what it
  /// has.
  bool at_rest() const;

 private:
  using Clock = std::chrono::steady_clock;

  /// A result on its way.
  struct Letter {
    std::string id;
    bool custom = false;
    ResultStore::Kept text;
    protocol::Delivery delivery;
    bool sending = true;  // in hand: being taken in or posted; else it waits until it is due
  };
  /// A request under way, its check before and its failure after included.
  struct Posting {
    std::vector<Letter*> letters;
    std::size_t bytes = 0;
    Clock::time_point began;
    std::optional<Task> task;
  };

  boost::asio::awaitable<void> take_in(Letter& letter, protocol::CallResult result);
  boost::asio::awaitable<void> set_text(Letter& letter, std::string text);
  void schedule();
  void pump();
  std::vector<Letter*> next_letters(Clock::time_point now);
  bool may_start(std::size_t bytes, Clock::time_point now) const;
  void arm(Clock::time_point now);
  boost::asio::awaitable<void> run(Posting& posting);
  boost::asio::awaitable<void> post(Posting& posting);
  boost::asio::awaitable<std::expected<std::set<std::string>, Failure>> answers_in_history(
      std::set<std::string> open);
  boost::asio::awaitable<bool> check(Posting& posting);
  void on_failure(Posting& posting, const Failure& failure);
  void drop_answered(Posting& posting);
  void finish(Letter& letter);
  protocol::CallResult plain_error(const Letter& letter, std::string text) const;

  const Options options_;
  Service& service_;
  const Log& log_;
  ResultStore store_;
  std::list<Letter> letters_;  // every open one, oldest first
  std::list<Posting> postings_;
  std::list<Task> taking_in_;
  boost::asio::steady_timer timer_;  // for what is due later
  bool scheduled_ = false;
  bool closing_ = false;
  bool closed_ = false;  // nothing is sent any more
  Gate emptied_;         // once closing
};

}  // namespace sandbox_worker::worker
