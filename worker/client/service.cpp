#include "worker/client/service.hpp"

#include <fmt/format.h>

#include <utility>

#include "protocol/history.hpp"
#include "protocol/retry.hpp"
#include "tools/offload.hpp"
#include "worker/limits.hpp"
#include "worker/wait.hpp"

namespace sandbox_worker::worker {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

// wire.md#requests: plain calls.
constexpr int kRetries = 2;
constexpr milliseconds kFirstDelay = 500ms;
constexpr milliseconds kMaxDelay = 8s;

// The stop is asked for in a teardown of which it has 1.5 s, perhaps on a connection that died without a
// word.
constexpr milliseconds kStopLimit = 600ms;
constexpr milliseconds kStopFirstDelay = 200ms;

/// Of an error's body, for its message.
constexpr std::size_t kMaxErrorBody = 64 * 1024;

Failure failure_of(const HttpError& error) {
  Failure failure;
  failure.may_have_acted = error.request_sent;
  failure.message = error.message;
  return failure;
}

Failure failure_of(unsigned status, const Headers& headers, std::string_view body) {
  const protocol::RetryHeaders retry{find_header(headers, "retry-after-ms"),
                                     find_header(headers, "retry-after"),
                                     find_header(headers, "x-should-retry")};
  const auto error = protocol::parse_service_error(body.substr(0, kMaxErrorBody));
  Failure failure;
  failure.status = status;
  failure.fatal = !protocol::should_retry(status, retry);
  failure.retry_after = protocol::requested_delay(retry, std::chrono::system_clock::now());
  failure.message = fmt::format("status {}", status);
  if (!error.message.empty()) failure.message += ": " + error.message;
  if (const auto id = find_header(headers, "request-id"); id && id->size() < 200)
    failure.message += fmt::format(" ({})", *id);
  return failure;
}

milliseconds delay_before_retry(const Failure& failure, int attempt, milliseconds first = kFirstDelay) {
  if (failure.retry_after) return *failure.retry_after;
  return protocol::backoff(attempt, first, kMaxDelay, random_fraction());
}

/// The service answers with an object or with nothing. A cut one, or the page of a portal on the way, is told
/// by its ends: parsing the echo of megabytes would hold up the main thread.
bool is_broken(std::string_view body) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto first = body.find_first_not_of(kSpace);
  if (first == body.npos) return false;
  return body[first] != '{' || body[body.find_last_not_of(kSpace)] != '}';
}

/// Finds that the pages of a history turn in a circle, sooner or later, by remembering one of them at a time.
class PageCircle {
 public:
  bool closes(const std::string& page) {
    if (page == seen_) return true;
    if (--left_ == 0) {
      seen_ = page;
      left_ = lap_ *= 2;
    }
    return false;
  }

 private:
  std::optional<std::string> seen_;
  std::size_t left_ = 1;
  std::size_t lap_ = 1;
};

/// Why the answer is none to rely on; nothing when it is a success.
std::optional<Failure> check_success(const HttpResponse& response) {
  if (!protocol::is_success(response.status))
    return failure_of(response.status, response.headers, response.body);
  if (!is_broken(response.body)) return std::nullopt;
  Failure failure;
  failure.status = response.status;
  failure.may_have_acted = true;
  failure.message = fmt::format("status {}, but the answer is not JSON", response.status);
  return failure;
}

}  // namespace

Service::Service(HttpClient& http, asio::any_io_executor pool, Ids ids, milliseconds page_silence)
    : http_(http), pool_(std::move(pool)), ids_(std::move(ids)), page_silence_(page_silence) {}

asio::awaitable<Outcome<HttpResponse>> Service::send_with_retries(protocol::Request request) {
  for (int attempt = 0;; ++attempt) {
    auto answer = co_await http_.send(request);
    auto failure = answer ? check_success(*answer) : failure_of(answer.error());
    if (!failure) co_return std::move(*answer);
    if (failure->fatal || attempt == kRetries) co_return std::unexpected(std::move(*failure));
    co_await sleep_until(steady_clock::now() + delay_before_retry(*failure, attempt));
  }
}

asio::awaitable<Outcome<protocol::Session>> Service::session() {
  auto answer = co_await send_with_retries(protocol::get_session(ids_.session));
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  // Its agent may have long texts, and only a word of it all matters.
  const auto parse = [&](const std::stop_token&) { return protocol::parse_session(answer->body); };
  auto session = answer->body.size() < kMaxInlineBytes ? parse({}) : co_await tools::offload(pool_, parse);
  if (session) co_return *session;
  Failure failure;
  failure.status = answer->status;
  failure.message = session.error().message;
  co_return std::unexpected(std::move(failure));
}

asio::awaitable<Outcome<std::unique_ptr<HttpStream>>> Service::open_stream() {
  auto opened = co_await http_.open(protocol::open_stream(ids_.session));
  if (!opened) co_return std::unexpected(failure_of(opened.error()));
  auto stream = std::move(*opened);
  const unsigned status = stream->status();
  if (!protocol::is_success(status)) co_return std::unexpected(failure_of(status, stream->headers(), {}));
  const auto type = find_header(stream->headers(), "content-type");
  if (!type || !type->starts_with("text/event-stream")) {
    Failure failure;
    failure.message = "the stream's answer is not an event stream";
    co_return std::unexpected(std::move(failure));
  }
  co_return std::move(stream);
}

asio::awaitable<Outcome<std::unique_ptr<HttpStream>>> Service::open_page(protocol::Request request,
                                                                         int retries) {
  for (int attempt = 0;; ++attempt) {
    auto opened = co_await within(page_silence_, http_.open(request));
    Failure failure;
    if (!opened) {
      http_.drop_idle();
      failure.message = fmt::format("no answer within {} ms", page_silence_.count());
    } else if (!*opened) {
      failure = failure_of(opened->error());
    } else if (auto& page = **opened; protocol::is_success(page->status())) {
      co_return std::move(page);
    } else {
      failure = failure_of(page->status(), page->headers(), {});
    }
    if (failure.fatal || attempt == retries) co_return std::unexpected(std::move(failure));
    co_await sleep_until(steady_clock::now() + delay_before_retry(failure, attempt));
  }
}

asio::awaitable<Outcome<void>> Service::history(std::optional<protocol::ServiceTime> from,
                                                HistorySinks sinks) {
  std::optional<std::string> page;
  PageCircle circle;
  do {
    // Nothing is lost yet when the first page fails, and calls that come on the stream wait for the outcome.
    auto opened = co_await open_page(protocol::get_history(ids_.session, from, page), page ? kRetries : 0);
    if (!opened) co_return std::unexpected(std::move(opened.error()));
    // Events are decoded on the pool, where a large one may take its time, and handed over here.
    std::vector<protocol::TimedEvent> events;
    std::vector<std::string> skipped;
    protocol::HistoryPageReader reader(kMaxEventBytes,
                                       {[&](protocol::TimedEvent event) {
                                          if (sinks.on_decoded) sinks.on_decoded(event);
                                          events.push_back(std::move(event));
                                        },
                                        [&](std::string why) { skipped.push_back(std::move(why)); }});
    for (;;) {
      auto bytes = co_await (*opened)->read(page_silence_);
      if (!bytes) co_return std::unexpected(failure_of(bytes.error()));
      if (bytes->empty()) break;
      const std::string_view chunk = *bytes;
      co_await tools::offload(pool_, [&reader, chunk](const std::stop_token&) { return reader.feed(chunk); });
      for (auto& event : events) sinks.on_event(std::move(event));
      for (auto& why : skipped) {
        if (sinks.on_skipped) sinks.on_skipped(std::move(why));
      }
      events.clear();
      skipped.clear();
    }
    auto next = reader.finish();
    if (!next) {
      Failure failure;
      failure.message = next.error().message;
      co_return std::unexpected(std::move(failure));
    }
    page = std::move(*next);
    if (page && circle.closes(*page)) {
      Failure failure;
      failure.message = "the history's pages lead back to a page before";
      co_return std::unexpected(std::move(failure));
    }
  } while (page);
  co_return Outcome<void>();
}

asio::awaitable<Outcome<void>> Service::post(std::string body) {
  auto request = protocol::post_results(ids_.session, std::move(body));
  auto answer = co_await http_.send(std::move(request));
  if (!answer) co_return std::unexpected(failure_of(answer.error()));
  if (auto failure = check_success(*answer)) co_return std::unexpected(std::move(*failure));
  co_return Outcome<void>();
}

asio::awaitable<BeatAnswer> Service::heartbeat(std::string expected, milliseconds limit,
                                               std::function<void()> on_sent) {
  auto request = protocol::heartbeat(ids_.environment, ids_.work, expected);
  bool written = false;
  auto on_written = [&] {
    written = true;
    on_sent();
  };
  auto answer = co_await within(limit, http_.send(std::move(request), std::move(on_written)));
  BeatAnswer beat;
  // A connection may have died without a word, and so may those that wait beside it.
  if (!answer) http_.drop_idle();
  if (!answer || !*answer) {
    beat.answer_lost = answer ? answer->error().request_sent : written;
    beat.message = answer ? answer->error().message : fmt::format("no answer within {} ms", limit.count());
    co_return beat;
  }
  const HttpResponse& response = **answer;
  if (protocol::is_success(response.status)) {
    auto reply = protocol::parse_heartbeat_reply(std::string_view(response.body).substr(0, kMaxInlineBytes));
    if (reply) {
      beat.kind = BeatAnswer::Kind::reply;
      beat.reply = std::move(*reply);
    } else {
      beat.answer_lost = true;
      beat.message = reply.error().message;
    }
    co_return beat;
  }
  beat.message = failure_of(response.status, response.headers, response.body).message;
  // A gateway that gives up says nothing about the service behind it.
  beat.answer_lost = response.status == 408 || response.status >= 500;
  if (response.status == 412) {
    beat.kind = BeatAnswer::Kind::conflict;
    beat.current = protocol::parse_service_error(response.body).lease_state;
  } else if (protocol::is_fatal(response.status)) {
    beat.kind = BeatAnswer::Kind::refused;
  }
  co_return beat;
}

asio::awaitable<Outcome<void>> Service::stop_work() {
  constexpr unsigned kStoppedAlready = 409;
  for (int attempt = 0;; ++attempt) {
    auto request = protocol::stop_work(ids_.environment, ids_.work);
    auto answer = co_await within(kStopLimit, http_.send(std::move(request)));
    if (answer && *answer && (*answer)->status == kStoppedAlready) co_return Outcome<void>();
    std::optional<Failure> failure;
    if (!answer) {
      http_.drop_idle();
      failure.emplace().message = fmt::format("no answer within {} ms", kStopLimit.count());
    } else {
      failure = *answer ? check_success(**answer) : failure_of(answer->error());
    }
    if (!failure) co_return Outcome<void>();
    if (failure->fatal || attempt == kRetries) co_return std::unexpected(std::move(*failure));
    co_await sleep_until(steady_clock::now() + delay_before_retry(*failure, attempt, kStopFirstDelay));
  }
}

}  // namespace sandbox_worker::worker
