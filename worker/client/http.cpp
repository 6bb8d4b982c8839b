#include "worker/client/http.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "worker/client/connector.hpp"
#include "worker/client/error_text.hpp"
#include "worker/client/header_name.hpp"
#include "worker/client/idle_pool.hpp"
#include "worker/client/request_head.hpp"
#include "worker/client/request_writer.hpp"
#include "worker/client/response_reader.hpp"
#include "worker/wait.hpp"

namespace sandbox_worker::worker {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using protocol::Request;

std::optional<std::string_view> find_header(const Headers& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (same_header_name(key, name)) return value;
  }
  return std::nullopt;
}

struct HttpClient::State {
  State(const asio::any_io_executor& executor, BaseUrl url, HttpOptions given)
      : base(std::move(url)),
        options(std::move(given)),
        peer(host_port(base.host, base.port)),
        connector(executor, base, options),
        given_up(executor),
        pool(std::make_shared<IdlePool>(executor)) {}

  /// Begins anew when all connections are given up meanwhile.
  asio::awaitable<std::expected<std::unique_ptr<Connection>, HttpError>> connect() {
    using namespace asio::experimental::awaitable_operators;
    for (;;) {
      auto outcome = co_await first_error_of(connector.connect() || given_up.wait());
      if (outcome.index() == 0) co_return std::get<0>(std::move(outcome));
    }
  }

  const BaseUrl base;
  const HttpOptions options;
  const std::string peer;
  Connector connector;
  Bell given_up;
  std::shared_ptr<IdlePool> pool;
};

namespace {

/// A server may refuse a large body and close while we still write: its answer is then worth more than the
/// error of the write. It is here, or on its way.
constexpr auto kEarlyAnswer = 1000ms;

using Reading = std::expected<std::unique_ptr<ResponseReader>, HttpError>;

HttpError write_failure(const std::string& peer, const IoError& error, const HttpOptions& options,
                        bool begun) {
  switch (error.kind) {
    case IoError::Kind::timeout:
      return {
          HttpErrorKind::timeout,
          fmt::format("{}: took nothing of the request for {}", peer, duration_text(options.write_timeout)),
          begun};
    case IoError::Kind::closed:
      return {HttpErrorKind::closed, fmt::format("{}: {} within the request", peer, error.reason), begun};
    default:
      return {HttpErrorKind::tls, fmt::format("{}: {} within the request", peer, error.reason), begun};
  }
}

/// Writes the request and reads the response's header. What is given by reference or view must live until it
/// is done, so await it at once. `begun` tells whether any byte of a response came.
asio::awaitable<Reading> exchange(std::unique_ptr<Connection> connection, std::string peer,
                                  const HttpOptions& options, std::string_view head, const Request& request,
                                  bool stream, const std::function<void()>& on_sent, bool& begun) {
  RequestWriter writer(*connection);
  auto written = co_await writer.write(head, request.body, options.write_timeout);
  if (written && on_sent) on_sent();
  ResponseParser::Limits limits{.header_bytes = options.max_header_bytes,
                                .body_bytes = options.max_body_bytes,
                                .no_body = request.method == "HEAD"};
  if (stream) limits.body_bytes = std::nullopt;
  auto reader = std::make_unique<ResponseReader>(std::move(connection), peer, limits);
  const bool cut = !written && writer.has_begun() && written.error().kind != IoError::Kind::failed;
  if (!written && !cut) {
    co_return std::unexpected(write_failure(peer, written.error(), options, writer.has_begun()));
  }
  // What a server that takes no more has said, it has said by now.
  const bool stalled = cut && written.error().kind == IoError::Kind::timeout;
  const auto limit = cut ? std::chrono::milliseconds(kEarlyAnswer) : options.response_timeout;
  auto read = co_await reader->read_header(stalled ? Clock::now() : deadline_after(limit), limit);
  begun = reader->has_begun();
  if (read && cut) reader->must_close();
  if (read) co_return reader;
  if (cut) co_return std::unexpected(write_failure(peer, written.error(), options, true));
  co_return std::unexpected(std::move(read.error()));
}

/// Answers of a gateway that gave up, while the server behind it may go on with the request. Closing the
/// connection is all that can stop it.
bool may_go_on(unsigned status) {
  return status == 408 || status >= 500;
}

/// Repeating it does no harm, whatever the server did the first time.
bool is_safe(const Request& request) {
  return request.method == "GET" || request.method == "HEAD";
}

class BodyStream final : public HttpStream {
 public:
  BodyStream(std::unique_ptr<ResponseReader> reader, std::weak_ptr<IdlePool> pool)
      : status_(reader->parser().status),
        headers_(std::move(reader->parser().headers)),
        reader_(std::move(reader)),
        pool_(std::move(pool)) {}

  unsigned status() const override { return status_; }
  const Headers& headers() const override { return headers_; }

  asio::awaitable<std::expected<std::string_view, HttpError>> read(
      std::chrono::milliseconds silence) override {
    // Bytes that came with the header are given first.
    if (given_ && reader_) reader_->parser().body.clear();
    given_ = true;
    while (reader_ && reader_->parser().body.empty()) {
      if (reader_->parser().done()) {
        finish();
        break;
      }
      auto more = co_await reader_->read_more(deadline_after(silence));
      if (!more) co_return std::unexpected(fail(std::move(more.error()), silence));
    }
    if (failed_) co_return std::unexpected(*failed_);
    co_return reader_ ? std::string_view(reader_->parser().body) : std::string_view();
  }

 private:
  void finish() {
    auto connection = reader_->take_reusable();
    reader_.reset();
    if (auto pool = pool_.lock(); pool && connection) pool->put(std::move(connection));
  }

  HttpError fail(HttpError error, std::chrono::milliseconds silence) {
    if (error.kind == HttpErrorKind::timeout) {
      error.message = fmt::format("{}: nothing came for {}", reader_->peer(), duration_text(silence));
      if (auto pool = pool_.lock()) pool->clear();
    }
    reader_.reset();
    failed_ = error;
    return error;
  }

  const unsigned status_;
  const Headers headers_;
  std::unique_ptr<ResponseReader> reader_;  // null after the end
  std::weak_ptr<IdlePool> pool_;
  std::optional<HttpError> failed_;
  bool given_ = false;
};

}  // namespace

HttpClient::HttpClient(const asio::any_io_executor& executor, BaseUrl base, HttpOptions options)
    : state_(std::make_shared<State>(executor, std::move(base), std::move(options))) {}
HttpClient::~HttpClient() {
  if (state_) state_->pool->clear();
}
HttpClient::HttpClient(HttpClient&&) noexcept = default;

/// The coroutines below hold the state, so that a client may be destroyed while they are being cancelled.
struct HttpClient::Steps {
  /// Up to the response's header. Await it at once: `request` is the caller's.
  static asio::awaitable<Reading> begin(std::shared_ptr<State> state, const Request& request, bool stream,
                                        std::function<void()> on_sent = {}) {
    const auto head =
        request_head(state->base, state->options.headers, request, state->connector.forward_proxy());
    if (!head) co_return std::unexpected(HttpError{HttpErrorKind::malformed, "request: " + head.error()});

    if (auto kept = state->pool->take()) {
      bool begun = false;
      auto reading = co_await exchange(std::move(kept), state->peer, state->options, *head, request, stream,
                                       on_sent, begun);
      if (reading) co_return reading;
      const HttpError& error = reading.error();
      // It may have died without a word, and so may those that wait beside it.
      if (error.kind == HttpErrorKind::timeout) state->pool->clear();
      const bool unseen = is_safe(request) || !error.request_sent;
      if (error.kind != HttpErrorKind::closed || begun || !unseen) co_return reading;
    }
    auto connected = co_await state->connect();
    if (!connected) co_return std::unexpected(std::move(connected.error()));
    bool begun = false;
    co_return co_await exchange(std::move(*connected), state->peer, state->options, *head, request, stream,
                                on_sent, begun);
  }

  static asio::awaitable<std::expected<HttpResponse, HttpError>> send(std::shared_ptr<State> state,
                                                                      Request request,
                                                                      std::function<void()> on_sent) {
    auto reading = co_await begin(state, request, false, std::move(on_sent));
    if (!reading) co_return std::unexpected(std::move(reading.error()));
    ResponseReader& reader = **reading;
    const auto limit = state->options.response_timeout;
    const auto deadline = deadline_after(limit);
    while (!reader.parser().done()) {
      auto more = co_await reader.read_more(deadline);
      if (more) continue;
      if (more.error().kind == HttpErrorKind::timeout) {
        more.error().message =
            fmt::format("{}: the answer was not whole within {}", state->peer, duration_text(limit));
      }
      co_return std::unexpected(std::move(more.error()));
    }
    HttpResponse response;
    response.status = reader.parser().status;
    response.headers = std::move(reader.parser().headers);
    response.body = std::move(reader.parser().body);
    auto connection = reader.take_reusable();
    if (connection && !may_go_on(response.status)) state->pool->put(std::move(connection));
    co_return response;
  }

  static asio::awaitable<std::expected<std::unique_ptr<HttpStream>, HttpError>> open(
      std::shared_ptr<State> state, Request request) {
    auto reading = co_await begin(state, request, true);
    if (!reading) co_return std::unexpected(std::move(reading.error()));
    co_return std::make_unique<BodyStream>(std::move(*reading), state->pool);
  }

  static asio::awaitable<void> warm_up(std::shared_ptr<State> state) {
    auto connected = co_await state->connect();
    if (connected) state->pool->put(std::move(*connected));
  }
};

asio::awaitable<std::expected<HttpResponse, HttpError>> HttpClient::send(Request request,
                                                                         std::function<void()> on_sent) {
  return Steps::send(state_, std::move(request), std::move(on_sent));
}

asio::awaitable<std::expected<std::unique_ptr<HttpStream>, HttpError>> HttpClient::open(Request request) {
  return Steps::open(state_, std::move(request));
}

asio::awaitable<void> HttpClient::warm_up() {
  return Steps::warm_up(state_);
}

void HttpClient::drop_idle() {
  state_->pool->clear();
}

void HttpClient::give_up_connections() {
  state_->pool->clear();
  state_->connector.give_up_all();
  state_->given_up.ring();
}

}  // namespace sandbox_worker::worker
