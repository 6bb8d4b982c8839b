#pragma once

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "tests/support/loopback_server.hpp"
#include "tests/support/run.hpp"
#include "worker/client/http.hpp"

namespace sandbox_worker::tests {

inline protocol::Request get(std::string target = "/") {
  return {"GET", std::move(target), {}, {}};
}
inline protocol::Request post(std::string body) {
  return {"POST", "/", {}, std::move(body)};
}

inline std::string answer(std::string_view body, std::string_view headers = {}) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + std::string(headers) +
         "\r\n" + std::string(body);
}

/// A client on an io_context of its own; each call runs to its end.
struct ClientUnderTest {
  explicit ClientUnderTest(const std::string& url, worker::HttpOptions options = {})
      : client(io.get_executor(), worker::BaseUrl::parse(url).value(), std::move(options)) {}

  std::expected<worker::HttpResponse, worker::HttpError> send(protocol::Request request) {
    return run(io, [&] { return client.send(request); });
  }
  std::expected<std::unique_ptr<worker::HttpStream>, worker::HttpError> open(protocol::Request request) {
    return run(io, [&] { return client.open(request); });
  }
  /// The next piece, copied.
  std::expected<std::string, worker::HttpError> read(
      worker::HttpStream& stream, std::chrono::milliseconds silence = std::chrono::seconds(5)) {
    return run(io, [&]() -> boost::asio::awaitable<std::expected<std::string, worker::HttpError>> {
      auto piece = co_await stream.read(silence);
      if (!piece) co_return std::unexpected(piece.error());
      co_return std::string(*piece);
    });
  }
  void warm_up() {
    run(io, [&]() -> boost::asio::awaitable<bool> {
      co_await client.warm_up();
      co_return true;
    });
  }
  /// Lets handlers that are due run, until `condition` holds or 5 s have passed.
  template <class Condition>
  bool until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (!condition() && std::chrono::steady_clock::now() < end) {
      io.restart();
      io.run_one_for(std::chrono::milliseconds(5));
    }
    return condition();
  }

  /// Runs the handlers of what arrives in the next moment.
  void settle() {
    io.restart();
    io.run_for(std::chrono::milliseconds(30));
  }

  boost::asio::io_context io;
  worker::HttpClient client;
};

}  // namespace sandbox_worker::tests
