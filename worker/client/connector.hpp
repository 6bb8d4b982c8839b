#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "worker/client/connection.hpp"
#include "worker/client/http.hpp"
#include "worker/client/proxy.hpp"
#include "worker/client/resolver.hpp"
#include "worker/client/trust.hpp"

namespace sandbox_worker::worker {

/// Makes connections that are ready for a request: name, TCP, the proxy's tunnel, TLS.
class Connector {
 public:
  Connector(const boost::asio::any_io_executor& executor, BaseUrl base, const HttpOptions& options);

  boost::asio::awaitable<std::expected<std::unique_ptr<Connection>, HttpError>> connect();

  /// Ends what is under way on every connection that was made here and still lives.
  void give_up_all();

  /// The proxy that is to be asked for whole URLs: plain http only, https goes through its tunnel.
  const Proxy* forward_proxy() const;

 private:
  using Connected = std::expected<std::unique_ptr<Connection>, HttpError>;

  boost::asio::awaitable<Connected> reach(std::string host, std::uint16_t port);
  boost::asio::awaitable<Connected> tunnel(std::unique_ptr<Connection> connection);
  boost::asio::awaitable<Connected> secure(std::unique_ptr<Connection> connection);

  boost::asio::any_io_executor executor_;
  BaseUrl base_;
  std::string peer_;  // host:port of the server
  std::chrono::milliseconds connect_timeout_;
  std::chrono::milliseconds tls_timeout_;
  std::expected<std::optional<Proxy>, std::string> proxy_;  // wrong settings are told by each request
  Resolver resolver_;
  Trust trust_;
  ConnectionList open_;
};

}  // namespace sandbox_worker::worker
