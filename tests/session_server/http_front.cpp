#include "tests/session_server/http_front.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <deque>
#include <mutex>
#include <thread>

namespace session_server {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);
using asio::awaitable;

/// Protects the test machine only; what is too large for the service is the service's to say.
constexpr std::uint64_t kMaxBodyBytes = std::uint64_t{1} << 30U;

/// Frames wait here until the connection's coroutine writes them.
class QueuedFeed : public StreamFeed, public std::enable_shared_from_this<QueuedFeed> {
 public:
  explicit QueuedFeed(asio::any_io_executor executor) : executor_(executor), wake_(executor) {}

  struct Item {
    std::string frame;
    std::optional<Cut> end;
  };

  void push(std::string frame) override { put({.frame = std::move(frame), .end = {}}); }
  void end(Cut how) override { put({.frame = {}, .end = how}); }
  bool open() const override { return open_; }

  /// The client has gone. On the front's thread, as everything below.
  void close() {
    open_ = false;
    wake_.cancel();
  }

  /// Nothing: `silence` has passed (when there is such a limit), or the feed was closed.
  awaitable<std::optional<Item>> next(std::chrono::milliseconds silence) {
    auto item = take();
    if (!item && open_) {
      wake_.expires_after(silence.count() > 0 ? silence : std::chrono::hours(24));
      co_await wake_.async_wait(kAsTuple);
      item = take();
    }
    co_return item;
  }

 private:
  /// Posts of several threads may overtake each other, so the order is kept here and only the waking is
  /// posted.
  void put(Item item) {
    {
      const std::lock_guard lock(mutex_);
      items_.push_back(std::move(item));
    }
    asio::post(executor_, [self = shared_from_this()] { self->wake_.cancel(); });
  }

  std::optional<Item> take() {
    const std::lock_guard lock(mutex_);
    if (items_.empty()) return std::nullopt;
    Item item = std::move(items_.front());
    items_.pop_front();
    return item;
  }

  asio::any_io_executor executor_;
  asio::steady_timer wake_;
  std::mutex mutex_;  // guards items_
  std::deque<Item> items_;
  std::atomic<bool> open_{true};
};

std::string header_text(const Reply& reply, bool keep_alive, bool chunked) {
  std::string text = fmt::format("HTTP/1.1 {} {}\r\n", reply.status,
                                 http::obsolete_reason(static_cast<http::status>(reply.status)));
  for (auto& [name, value] : reply.headers) text += fmt::format("{}: {}\r\n", name, value);
  text += "request-id: req_test\r\n";
  if (reply.opens_stream) {
    text += chunked ? "transfer-encoding: chunked\r\n" : "connection: close\r\n";
  } else {
    if (reply.status != 204) text += fmt::format("content-length: {}\r\n", reply.body.size());
    if (!keep_alive) text += "connection: close\r\n";
  }
  return text + "\r\n";
}

std::string chunk(const std::string& bytes) {
  return fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes);
}

/// A connection as far as it may wait for a request.
class Idler {
 public:
  virtual ~Idler() = default;
  virtual void close_if_idle() = 0;
  /// Its client has gone, and what it sent before may still have to be read.
  virtual bool has_last_words() = 0;
};

/// Which of `events` (of poll) hold for a descriptor right now.
short ready(int fd, short events) {
  pollfd asked{.fd = fd, .events = events, .revents = 0};
  return ::poll(&asked, 1, 0) > 0 ? asked.revents : short{0};
}

}  // namespace

struct HttpFront::State {
  Options options;
  OnRequest on_request;
  asio::io_context io{1};
  // While nothing listens and nobody is connected there is nothing to do, and still a next time.
  asio::executor_work_guard<asio::io_context::executor_type> stay{io.get_executor()};
  asio::ssl::context tls{asio::ssl::context::tls_server};
  tcp::acceptor acceptor{io};
  std::uint16_t port = 0;
  std::vector<std::weak_ptr<Idler>> connections;
  std::optional<std::chrono::steady_clock::time_point> no_tls_until;
  std::thread thread;

  void open_acceptor();
  void go_down(const Fault& fault);
  bool settled();
  awaitable<void> accept();
};

namespace {

/// One connection and the requests on it, one after another.
template <class Stream>
class Connection : public Idler, public std::enable_shared_from_this<Connection<Stream>> {
 public:
  Connection(Stream stream, HttpFront::Options& options, HttpFront::OnRequest& on_request,
             std::function<void(const Fault&)> go_down)
      : stream_(std::move(stream)),
        options_(options),
        on_request_(on_request),
        go_down_(std::move(go_down)) {}

  void close_if_idle() override {
    error_code ignored;
    if (idle_) socket().shutdown(tcp::socket::shutdown_both, ignored);
  }

  bool has_last_words() override {
    return idle_ && socket().is_open() && ready(socket().native_handle(), POLLRDHUP) != 0;
  }

  awaitable<void> run(std::shared_ptr<Connection> self) {
    (void)self;  // keeps the connection alive while the coroutine is
    if constexpr (!std::is_same_v<Stream, tcp::socket>) {
      auto [error] = co_await stream_.async_handshake(asio::ssl::stream_base::server, kAsTuple);
      if (error) co_return;
    }
    while (co_await one_request()) {
    }
    error_code ignored;
    socket().shutdown(tcp::socket::shutdown_both, ignored);
    socket().close(ignored);
  }

 private:
  tcp::socket& socket() { return beast::get_lowest_layer(stream_); }

  void reset() {
    error_code ignored;
    socket().set_option(asio::socket_base::linger(true, 0), ignored);
    socket().close(ignored);
  }

  awaitable<bool> write(std::string bytes) {
    auto [error, size] = co_await asio::async_write(stream_, asio::buffer(bytes), kAsTuple);
    co_return !error;
  }

  awaitable<bool> write_bytewise(std::string bytes, std::chrono::milliseconds gap) {
    asio::steady_timer timer(stream_.get_executor());
    for (const char byte : bytes) {
      std::string one(1, byte);
      if (!co_await write(std::move(one))) co_return false;
      if (gap.count() == 0) continue;
      timer.expires_after(gap);
      co_await timer.async_wait(kAsTuple);
    }
    co_return true;
  }

  awaitable<void> wait_for_end() {
    std::array<char, 64> buffer{};
    while (true) {
      auto [error, size] = co_await stream_.async_read_some(asio::buffer(buffer), kAsTuple);
      if (error) co_return;
    }
  }

  /// False when the connection is used up.
  awaitable<bool> one_request() {
    http::request_parser<http::string_body> parser;
    parser.header_limit(64 * 1024);
    parser.body_limit(kMaxBodyBytes);
    idle_ = true;
    auto [error, size] = co_await http::async_read(stream_, buffer_, parser, kAsTuple);
    idle_ = false;
    if (error) co_return false;
    auto message = parser.release();
    Request request;
    request.method = std::string(message.method_string());
    request.target = std::string(message.target());
    for (auto& field : message)
      request.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
    request.body = std::move(message.body());
    Plan plan = on_request_(std::move(request));
    const bool keep_alive = message.keep_alive();
    if (plan.fault) co_return co_await spoiled(std::move(plan), keep_alive);
    co_return co_await answer(std::move(plan), keep_alive, false);
  }

  static std::string whole(const Reply& reply, bool keep_alive) {
    return header_text(reply, keep_alive, false) + reply.body;
  }

  awaitable<bool> answer(Plan plan, bool keep_alive, bool bytewise) {
    const auto gap = plan.fault ? plan.fault->gap : std::chrono::milliseconds(0);
    if (plan.reply.opens_stream) co_return co_await stream_events(std::move(plan), bytewise, gap);
    std::string text = whole(plan.reply, keep_alive);
    bool written = false;
    if (bytewise) {
      written = co_await write_bytewise(std::move(text), gap);
    } else {
      written = co_await write(std::move(text));
    }
    if (!written && plan.on_lost) plan.on_lost();
    co_return written&& keep_alive;
  }

  awaitable<bool> spoiled(Plan plan, bool keep_alive) {
    const Fault fault = *plan.fault;
    switch (fault.action) {
      case FaultAction::delay: {
        asio::steady_timer timer(stream_.get_executor(), fault.delay);
        co_await timer.async_wait(kAsTuple);
        co_return co_await answer(std::move(plan), keep_alive, false);
      }
      case FaultAction::drip:
        co_return co_await answer(std::move(plan), keep_alive, true);
      case FaultAction::status:
      case FaultAction::invalid_json:
      case FaultAction::wrong_content_type:
      case FaultAction::redirect:
      case FaultAction::cut:
        co_return co_await answer(std::move(plan), keep_alive, false);
      case FaultAction::no_answer:
        co_await wait_for_end();
        if (plan.on_closed) plan.on_closed();
        co_return false;
      case FaultAction::down:
      case FaultAction::no_tls:
        go_down_(fault);
        co_return false;
      case FaultAction::close:
        co_return false;
      case FaultAction::reset:
        reset();
        co_return false;
      case FaultAction::close_header:
      case FaultAction::half_body:
      case FaultAction::reset_body:
        break;
    }
    std::string text = header_text(plan.reply, keep_alive, options_.stream.chunked);
    if (fault.action == FaultAction::close_header) {
      text.resize(text.size() / 2);
    } else {
      text += plan.reply.body.substr(0, plan.reply.body.size() / 2);
    }
    co_await write(std::move(text));
    if (fault.action == FaultAction::reset_body) reset();
    co_return false;
  }

  /// `bytewise`: the header, one byte in each `gap`.
  awaitable<bool> stream_events(Plan plan, bool bytewise, std::chrono::milliseconds gap) {
    auto feed = std::make_shared<QueuedFeed>(stream_.get_executor());
    plan.on_stream(feed);
    std::string head = header_text(plan.reply, true, options_.stream.chunked);
    bool begun = false;
    if (bytewise) {
      begun = co_await write_bytewise(std::move(head), gap);
    } else {
      begun = co_await write(std::move(head));
    }
    if (!begun) {
      feed->close();
      co_return false;
    }
    auto self = this->shared_from_this();
    asio::co_spawn(
        stream_.get_executor(),
        [self, feed]() -> awaitable<void> {
          co_await self->wait_for_end();
          feed->close();
        },
        asio::detached);
    while (feed->open()) {
      auto item = co_await feed->next(options_.stream.silence);
      if (!item && !feed->open()) break;
      if (item && item->end) {
        co_await end_stream(*item->end);
        break;
      }
      std::string bytes = item ? item->frame : options_.stream.ping;
      if (options_.stream.chunked) bytes = chunk(bytes);
      bool written = false;
      if (options_.stream.split_bytes) {
        written = co_await write_bytewise(std::move(bytes), std::chrono::milliseconds(0));
      } else {
        written = co_await write(std::move(bytes));
      }
      if (!written) break;
    }
    feed->close();
    co_return false;
  }

  awaitable<void> end_stream(Cut how) {
    if (how == Cut::reset) reset();
    std::string last;
    if (how == Cut::close && options_.stream.chunked) last = "0\r\n\r\n";
    if (how == Cut::half_event) last = "40\r\nevent: agent.tool_use\ndata: {\"type\":\"agent.tool_";
    if (!last.empty()) co_await write(std::move(last));
  }

  Stream stream_;
  HttpFront::Options& options_;
  HttpFront::OnRequest& on_request_;
  std::function<void(const Fault&)> go_down_;
  beast::flat_buffer buffer_;
  bool idle_ = true;  // no request is being answered
};

}  // namespace

void HttpFront::State::open_acceptor() {
  tcp::endpoint endpoint(asio::ip::address_v4::loopback(), port);
  if (options.ipv6) endpoint.address(asio::ip::address_v6::loopback());
  acceptor.open(endpoint.protocol());
  acceptor.set_option(asio::socket_base::reuse_address(true));
  acceptor.bind(endpoint);
  acceptor.listen();
  port = acceptor.local_endpoint().port();
  asio::co_spawn(io, accept(), asio::detached);
}

void HttpFront::State::go_down(const Fault& fault) {
  for (auto& connection : connections) {
    if (const auto alive = connection.lock()) alive->close_if_idle();
  }
  if (fault.action == FaultAction::no_tls) {
    no_tls_until = std::chrono::steady_clock::now() + fault.delay;
    return;
  }
  acceptor.close();
  auto timer = std::make_shared<asio::steady_timer>(io, fault.delay);
  timer->async_wait([this, timer](error_code) {
    if (!acceptor.is_open()) open_acceptor();
  });
}

bool HttpFront::State::settled() {
  if (acceptor.is_open() && ready(acceptor.native_handle(), POLLIN) != 0) return false;
  return std::ranges::none_of(connections, [](auto& connection) {
    const auto alive = connection.lock();
    return alive && alive->has_last_words();
  });
}

awaitable<void> HttpFront::State::accept() {
  while (true) {
    auto [error, socket] = co_await acceptor.async_accept(kAsTuple);
    if (error) co_return;
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    std::erase_if(connections, [](auto& connection) { return connection.expired(); });
    if (no_tls_until && std::chrono::steady_clock::now() < *no_tls_until) {
      asio::write(socket, asio::buffer(std::string_view("no TLS here\r\n")), ignored);
      continue;
    }
    const auto go_down = [this](const Fault& fault) { this->go_down(fault); };
    if (options.tls) {
      using Stream = asio::ssl::stream<tcp::socket>;
      auto connection =
          std::make_shared<Connection<Stream>>(Stream(std::move(socket), tls), options, on_request, go_down);
      connections.push_back(connection);
      asio::co_spawn(io, connection->run(connection), asio::detached);
    } else {
      auto connection =
          std::make_shared<Connection<tcp::socket>>(std::move(socket), options, on_request, go_down);
      connections.push_back(connection);
      asio::co_spawn(io, connection->run(connection), asio::detached);
    }
  }
}

HttpFront::HttpFront(Options options, OnRequest on_request) : state_(std::make_unique<State>()) {
  state_->options = std::move(options);
  state_->on_request = std::move(on_request);
  state_->port = state_->options.port;
  if (state_->options.tls) {
    const auto& [certificate, key] = *state_->options.tls;
    state_->tls.use_certificate_chain(asio::buffer(certificate));
    state_->tls.use_private_key(asio::buffer(key), asio::ssl::context::pem);
  }
  state_->open_acceptor();
  state_->thread = std::thread([state = state_.get()] { state->io.run(); });
}

HttpFront::~HttpFront() {
  stop();
}

void HttpFront::stop() {
  state_->io.stop();
  if (state_->thread.joinable()) state_->thread.join();
}

std::uint16_t HttpFront::port() const {
  return state_->port;
}

void HttpFront::listen(bool on) {
  // Waited for, so that whoever asked may rely on it.
  asio::post(state_->io, asio::use_future([state = state_.get(), on] {
               if (on && !state->acceptor.is_open()) state->open_acceptor();
               if (!on) state->acceptor.close();
             }))
      .get();
}

bool HttpFront::settle(std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  const auto settled = [state = state_.get()] {
    return asio::post(state->io, asio::use_future([state] { return state->settled(); })).get();
  };
  while (std::chrono::steady_clock::now() < end) {
    // Twice: a connection that was just accepted is in no list yet, but its handler is queued before the
    // second question.
    if (settled() && settled()) return true;
  }
  return false;
}

void HttpFront::after(std::chrono::milliseconds delay, std::function<void()> work) {
  auto timer = std::make_shared<asio::steady_timer>(state_->io, delay);
  timer->async_wait([timer, work = std::move(work)](error_code error) {
    if (!error) work();
  });
}

}  // namespace session_server
