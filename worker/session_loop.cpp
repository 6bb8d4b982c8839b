#include "worker/session_loop.hpp"

#include <utility>
#include <vector>

#include "protocol/retry.hpp"
#include "tools/offload.hpp"
#include "worker/limits.hpp"
#include "worker/task.hpp"
#include "worker/wait.hpp"

namespace sandbox_worker::worker {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using protocol::Ledger;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

// wire.md#attach
constexpr milliseconds kFirstReconnect = 500ms;
constexpr milliseconds kMaxReconnect = 10s;
// Of a history that can't be read. A call that is only there waits for it.
constexpr milliseconds kFirstReread = 1s;
constexpr milliseconds kMaxReread = 30s;

std::optional<protocol::ThreadTerminated> thread_end(const protocol::Event& event) {
  const auto* ended = std::get_if<protocol::ThreadTerminated>(&event);
  return ended ? std::optional(*ended) : std::nullopt;
}

}  // namespace

SessionLoop::SessionLoop(Options options, Service& service, Ledger& ledger, Dispatcher& dispatcher, End& end,
                         const Log& log)
    : options_(std::move(options)),
      service_(service),
      ledger_(ledger),
      dispatcher_(dispatcher),
      end_(end),
      log_(log),
      idle_timer_(options_.executor, steady_clock::time_point::max()),
      woken_(options_.executor) {}

void SessionLoop::on_woken() {
  reconnect_at_once_ = true;
  woken_.ring();
}

asio::awaitable<void> SessionLoop::run() {
  if (!co_await check_session()) co_return;
  int failures = 0;
  for (;;) {
    reconnect_at_once_ = false;
    auto stream = co_await service_.open_stream();
    std::string why = "the stream ended";
    std::optional<milliseconds> wish;
    if (stream) {
      co_await follow(**stream);
      if (end_.is_set()) co_return;
      if (stream_gave_event_) failures = 0;
    } else {
      why = stream.error().message;
      wish = stream.error().retry_after;
      if (stream.error().fatal) {
        end_.set(EndReason::failed, "the event stream can't be opened: " + why);
        co_return;
      }
    }
    const auto backoff = protocol::backoff(failures++, kFirstReconnect, kMaxReconnect, random_fraction());
    auto delay = wish.value_or(backoff);
    if (reconnect_at_once_) delay = 0ms;
    log_.warn("reconnecting", {{"why", why}, {"delay_ms", delay.count()}});
    co_await woken_.wait_until(steady_clock::now() + delay);
  }
}

asio::awaitable<bool> SessionLoop::check_session() {
  for (int attempt = 0;; ++attempt) {
    auto session = co_await service_.session();
    if (session) {
      if (session->terminated) end_.set(EndReason::session_over, "the session is terminated");
      co_return !session->terminated;
    }
    if (session.error().fatal) {
      end_.set(EndReason::failed, "the session can't be read: " + session.error().message);
      co_return false;
    }
    // The lease bounds how long this may go on.
    const auto delay = session.error().retry_after.value_or(
        protocol::backoff(attempt, kFirstReconnect, kMaxReconnect, random_fraction()));
    log_.warn("the session can't be read, trying again",
              {{"why", session.error().message}, {"delay_ms", delay.count()}});
    co_await woken_.wait_until(steady_clock::now() + delay);
  }
}

asio::awaitable<void> SessionLoop::follow(HttpStream& stream) {
  stream_gave_event_ = stream_broken_ = false;
  ledger_.begin_attach();
  const auto since = std::chrono::duration_cast<milliseconds>(steady_clock::now() - options_.started);
  log_.info(first_attach_ ? "attached" : "attached again", {{"ms", since.count()}});
  first_attach_ = false;
  // The stream is read while the history is: a termination must not wait for a slow page.
  Task history(options_.executor, read_history());
  std::exception_ptr cancelled;
  try {
    co_await read_stream(stream);
  } catch (const boost::system::system_error&) {
    cancelled = std::current_exception();
  }
  // In any case before we end: what is being read is handed to what ends with us.
  history.cancel();
  co_await asio::this_coro::reset_cancellation_state(asio::enable_terminal_cancellation());
  co_await history.join();
  if (cancelled) std::rethrow_exception(cancelled);
  ledger_.on_detached(steady_clock::now());
  arm_idle_timer();
}

asio::awaitable<void> SessionLoop::read_history() {
  for (int attempt = 0;; ++attempt) {
    const auto why_not = co_await read_history_once();
    apply(ledger_.end_attach(!why_not, steady_clock::now()));
    if (!why_not) co_return;
    const auto delay = why_not->retry_after.value_or(
        protocol::backoff(attempt, kFirstReread, kMaxReread, random_fraction()));
    log_.warn("the history can't be read, going on with the stream",
              {{"why", why_not->message}, {"delay_ms", delay.count()}});
    co_await sleep_until(steady_clock::now() + delay);
    ledger_.begin_history();
    arm_idle_timer();
  }
}

asio::awaitable<std::optional<Failure>> SessionLoop::read_history_once() {
  std::size_t events = 0;
  const auto from = ledger_.history_from();
  auto outcome = co_await service_.history(
      from, {.on_event =
                 [&](protocol::TimedEvent event) {
                   ++events;
                   note_answer(event.event);
                   const auto ended = thread_end(event.event);
                   apply(ledger_.on_history(std::move(event.event), event.at));
                   note_thread_end(ended);
                 },
             .on_skipped = [&](const std::string& why) { log_.warn("event skipped", {{"why", why}}); },
             .on_decoded = [this](protocol::TimedEvent& event) { take_in(event.event); }});
  if (!outcome) co_return std::move(outcome.error());
  log_.debug("history read", {{"events", events}, {"whole", !from}});
  co_return std::nullopt;
}

asio::awaitable<void> SessionLoop::look_for_answers() {
  co_await service_.history(ledger_.history_from(), {.on_event = [&](const protocol::TimedEvent& event) {
                              note_answer(event.event);
                            }});
}

asio::awaitable<void> SessionLoop::read_stream(HttpStream& stream) {
  protocol::SseDecoder decoder(kMaxEventBytes);
  std::vector<protocol::SseEvent> events;
  for (;;) {
    const auto bytes = co_await stream.read(options_.stream_silence);
    if (!bytes) {
      log_.warn("the stream broke", {{"why", bytes.error().message}});
      co_return;
    }
    if (bytes->empty()) co_return;
    decoder.feed(*bytes, [&](protocol::SseEvent event) { events.push_back(std::move(event)); });
    for (auto& event : events) {
      co_await on_sse(std::move(event));
      if (end_.is_set() || stream_broken_) co_return;
    }
    events.clear();
  }
}

asio::awaitable<void> SessionLoop::on_sse(protocol::SseEvent event) {
  if (event.name == "ping") co_return;
  if (event.name == "error") {
    log_.warn("the stream sent an error and ends");
    stream_broken_ = true;
    co_return;
  }
  if (event.oversized) {
    log_.warn("event skipped", {{"why", "over the size limit"}, {"bytes", event.size}});
    co_return;
  }
  const auto decode = [&](const std::stop_token&) {
    auto decoded = protocol::parse_event(event.data);
    if (decoded) take_in(decoded->event);
    return decoded;
  };
  auto parsed =
      event.data.size() < kMaxInlineBytes ? decode({}) : co_await tools::offload(options_.pool, decode);
  stream_gave_event_ = true;
  if (!parsed) {
    log_.warn("event skipped", {{"why", "malformed: " + parsed.error().message}});
    co_return;
  }
  note_answer(parsed->event);
  const auto ended = thread_end(parsed->event);
  apply(ledger_.on_live(std::move(parsed->event), steady_clock::now(), parsed->at));
  note_thread_end(ended);
}

void SessionLoop::take_in(protocol::Event& event) const {
  if (auto* call = std::get_if<protocol::ToolUse>(&event)) options_.on_call(*call);
}

void SessionLoop::note_answer(const protocol::Event& event) const {
  if (const auto* answered = std::get_if<protocol::ToolAnswered>(&event)) {
    options_.on_answered(answered->tool_use_id);
  }
}

void SessionLoop::note_thread_end(const std::optional<protocol::ThreadTerminated>& ended) {
  if (ended) dispatcher_.end_thread(ended->thread);
}

void SessionLoop::on_closed(const std::string& id) {
  ledger_.on_closed(id, steady_clock::now());
  arm_idle_timer();
}

void SessionLoop::apply(Ledger::Actions actions) {
  for (auto& action : actions) {
    if (auto* run = std::get_if<Ledger::Run>(&action)) {
      dispatcher_.run(std::move(*run));
    } else if (const auto* cancel = std::get_if<Ledger::Cancel>(&action)) {
      dispatcher_.cancel(cancel->id, cancel->reason);
    } else if (const auto* drop = std::get_if<Ledger::Drop>(&action)) {
      log_.info("call dropped", {{"id", drop->id}, {"why", drop->reason}});
    } else {
      const bool deleted = std::get<Ledger::End>(action).deleted;
      end_.set(EndReason::session_over, deleted ? "the session was deleted" : "the session is terminated");
    }
  }
  arm_idle_timer();
}

void SessionLoop::arm_idle_timer() {
  const auto deadline = ledger_.idle_deadline().value_or(steady_clock::time_point::max());
  if (idle_timer_.expiry() == deadline) return;
  idle_timer_.expires_at(deadline);
  idle_timer_.async_wait([this](boost::system::error_code error) {
    if (error) return;  // armed anew, or we are gone
    const auto due = ledger_.idle_deadline();
    if (due && steady_clock::now() >= *due) end_.set(EndReason::idle, "the session is idle");
  });
}

}  // namespace sandbox_worker::worker
