#include "tests/e2e/connect_proxy.hpp"

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <mutex>
#include <thread>
#include <utility>

namespace session_server {
namespace {

namespace asio = boost::asio;
using asio::awaitable;
using asio::ip::tcp;
constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);
using Socket = std::shared_ptr<tcp::socket>;

awaitable<void> pass_on(Socket from, Socket to) {
  std::string buffer(16 * 1024, '\0');
  for (;;) {
    auto [read_error, size] = co_await from->async_read_some(asio::buffer(buffer), kAsTuple);
    if (read_error) break;
    auto [write_error, written] = co_await asio::async_write(*to, asio::buffer(buffer, size), kAsTuple);
    if (write_error) break;
  }
  boost::system::error_code ignored;
  from->close(ignored);
  to->close(ignored);
}

}  // namespace

struct ConnectProxy::State {
  State(std::uint16_t to, std::string refused_with) : target(to), refusal(std::move(refused_with)) {}

  const std::uint16_t target;
  const std::string refusal;
  asio::io_context io{1};
  tcp::acceptor acceptor{io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
  mutable std::mutex mutex;  // guards heard
  std::string heard;
  std::atomic<int> tunnels{0};
  std::thread thread;

  void hear(std::string_view bytes) {
    const std::lock_guard lock(mutex);
    heard += bytes;
  }

  awaitable<void> accept() {
    for (;;) {
      auto [error, socket] = co_await acceptor.async_accept(kAsTuple);
      if (error) co_return;
      asio::co_spawn(io, serve(std::make_shared<tcp::socket>(std::move(socket))), asio::detached);
    }
  }

  awaitable<void> serve(Socket client) {
    std::string head;
    auto [error, size] =
        co_await asio::async_read_until(*client, asio::dynamic_buffer(head, 16 * 1024), "\r\n\r\n", kAsTuple);
    hear(head);
    if (error) co_return;
    if (!refusal.empty()) {
      const std::string answer = "HTTP/1.1 " + refusal + "\r\ncontent-length: 0\r\n\r\n";
      co_await asio::async_write(*client, asio::buffer(answer), kAsTuple);
      co_await listen_on(client);
      co_return;
    }
    auto server = std::make_shared<tcp::socket>(io);
    auto [refused] =
        co_await server->async_connect(tcp::endpoint(asio::ip::address_v4::loopback(), target), kAsTuple);
    if (refused) co_return;
    ++tunnels;
    const std::string answer = "HTTP/1.1 200 Connection established\r\n\r\n";
    co_await asio::async_write(*client, asio::buffer(answer), kAsTuple);
    asio::co_spawn(io, pass_on(server, client), asio::detached);
    co_await pass_on(client, server);
  }

  /// What comes after a refusal.
  awaitable<void> listen_on(Socket client) {
    std::string buffer(4096, '\0');
    for (;;) {
      auto [error, size] = co_await client->async_read_some(asio::buffer(buffer), kAsTuple);
      if (error) co_return;
      hear(std::string_view(buffer).substr(0, size));
    }
  }
};

ConnectProxy::ConnectProxy(std::uint16_t target, std::string refusal)
    : state_(std::make_unique<State>(target, std::move(refusal))) {
  asio::co_spawn(state_->io, state_->accept(), asio::detached);
  state_->thread = std::thread([state = state_.get()] { state->io.run(); });
}

ConnectProxy::~ConnectProxy() {
  state_->io.stop();
  state_->thread.join();
}

std::uint16_t ConnectProxy::port() const {
  return state_->acceptor.local_endpoint().port();
}

std::string ConnectProxy::heard() const {
  const std::lock_guard lock(state_->mutex);
  return state_->heard;
}

int ConnectProxy::tunnels() const {
  return state_->tunnels;
}

}  // namespace session_server
