#include "tests/support/relay.hpp"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>
#include <thread>
#include <vector>

namespace sandbox_worker::tests {

namespace asio = boost::asio;
using asio::ip::tcp;
constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);

namespace {

struct Pair {
  explicit Pair(tcp::socket accepted) : client(std::move(accepted)), server(client.get_executor()) {}

  tcp::socket client;
  tcp::socket server;
  bool silent = false;
};

asio::awaitable<void> pump(std::shared_ptr<Pair> pair, tcp::socket& from, tcp::socket& to) {
  std::array<char, 16 * 1024> bytes{};
  for (;;) {
    auto [error, count] = co_await from.async_read_some(asio::buffer(bytes), kAsTuple);
    if (pair->silent)
      continue;  // read on, so that nobody's buffer tells; the end of a silent pair is its own
    if (error) break;
    auto [write_error, written] = co_await asio::async_write(to, asio::buffer(bytes.data(), count), kAsTuple);
    if (write_error) break;
  }
  boost::system::error_code ignored;
  to.shutdown(tcp::socket::shutdown_send, ignored);
}

}  // namespace

struct Relay::State {
  asio::io_context io{1};
  tcp::acceptor acceptor{io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
  std::vector<std::shared_ptr<Pair>> pairs;  // all that ever were: tests are short
  bool new_ones_silent = false;
  std::thread thread;

  asio::awaitable<void> accept(std::uint16_t server_port) {
    for (;;) {
      auto [error, socket] = co_await acceptor.async_accept(kAsTuple);
      if (error) co_return;
      auto pair = std::make_shared<Pair>(std::move(socket));
      pairs.push_back(pair);
      if (new_ones_silent) continue;
      const tcp::endpoint server(asio::ip::address_v4::loopback(), server_port);
      auto [refused] = co_await pair->server.async_connect(server, kAsTuple);
      if (refused) {
        pair->client.close();
        continue;
      }
      asio::co_spawn(io, pump(pair, pair->client, pair->server), asio::detached);
      asio::co_spawn(io, pump(pair, pair->server, pair->client), asio::detached);
    }
  }
};

Relay::Relay(std::uint16_t server_port) : state_(std::make_unique<State>()) {
  port_ = state_->acceptor.local_endpoint().port();
  asio::co_spawn(state_->io, state_->accept(server_port), asio::detached);
  state_->thread = std::thread([state = state_.get()] { state->io.run(); });
}

Relay::~Relay() {
  state_->io.stop();
  state_->thread.join();
}

std::size_t Relay::silence_open() {
  return asio::post(state_->io, asio::use_future([state = state_.get()] {
                      std::size_t silenced = 0;
                      for (auto& pair : state->pairs) {
                        if (!pair->silent && pair->client.is_open()) ++silenced;
                        pair->silent = true;
                      }
                      return silenced;
                    }))
      .get();
}

std::size_t Relay::connections() const {
  return asio::post(state_->io, asio::use_future([state = state_.get()] { return state->pairs.size(); }))
      .get();
}

void Relay::silence_new() {
  asio::post(state_->io, asio::use_future([state = state_.get()] { state->new_ones_silent = true; })).get();
}

}  // namespace sandbox_worker::tests
