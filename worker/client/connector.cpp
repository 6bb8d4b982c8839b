#include "worker/client/connector.hpp"

#include <fmt/format.h>

#include "worker/client/dial.hpp"
#include "worker/client/error_text.hpp"
#include "worker/client/request_writer.hpp"
#include "worker/client/response_reader.hpp"

namespace sandbox_worker::worker {

namespace asio = boost::asio;

namespace {

/// Far more than a proxy has to say.
constexpr std::size_t kProxyHeaderBytes = 16 * 1024;

std::string connect_request(const std::string& target, const Proxy& proxy) {
  std::string text = fmt::format("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n", target);
  if (!proxy.authorization.empty()) text += fmt::format("Proxy-Authorization: {}\r\n", proxy.authorization);
  return text + "\r\n";
}

}  // namespace

Connector::Connector(const asio::any_io_executor& executor, BaseUrl base, const HttpOptions& options)
    : executor_(executor),
      base_(std::move(base)),
      peer_(host_port(base_.host, base_.port)),
      connect_timeout_(options.connect_timeout),
      tls_timeout_(options.tls_timeout),
      proxy_(choose_proxy(base_, options)),
      resolver_(executor),
      trust_(options.ca_file, options.ca_dir) {}

const Proxy* Connector::forward_proxy() const {
  return !base_.tls && proxy_ && *proxy_ ? &**proxy_ : nullptr;
}

void Connector::give_up_all() {
  for (auto& connection : open_) connection.give_up();
}

asio::awaitable<Connector::Connected> Connector::connect() {
  if (!proxy_) co_return std::unexpected(HttpError{HttpErrorKind::proxy, "the proxy " + proxy_.error()});
  const auto& proxy = *proxy_;
  auto connected = proxy ? co_await reach(proxy->host, proxy->port) : co_await reach(base_.host, base_.port);
  if (base_.tls && proxy && connected) connected = co_await tunnel(std::move(*connected));
  if (base_.tls && connected) connected = co_await secure(std::move(*connected));
  co_return connected;
}

asio::awaitable<Connector::Connected> Connector::reach(std::string host, std::uint16_t port) {
  const auto deadline = deadline_after(connect_timeout_);
  const auto failure = [&](HttpErrorKind kind, const std::string& what, const std::string& why) {
    const auto& proxy = *proxy_;
    return std::unexpected(HttpError{proxy ? HttpErrorKind::proxy : kind,
                                     fmt::format("{}: {}", proxy ? "proxy " + proxy->name() : what, why)});
  };
  auto addresses = co_await resolver_.resolve(host, deadline);
  if (!addresses) co_return failure(HttpErrorKind::resolve, host, addresses.error());
  auto socket = co_await dial(executor_, std::move(*addresses), port, deadline);
  if (!socket) {
    std::string reason = errno_text(socket.error());
    if (Clock::now() >= deadline) reason += " within " + duration_text(connect_timeout_);
    co_return failure(HttpErrorKind::connect, "connect to " + host_port(host, port), reason);
  }
  auto connection = std::make_unique<Connection>(executor_, std::move(*socket));
  open_.push_back(*connection);
  co_return connection;
}

asio::awaitable<Connector::Connected> Connector::tunnel(std::unique_ptr<Connection> connection) {
  const Proxy& proxy = **proxy_;
  const auto deadline = deadline_after(connect_timeout_);
  const std::string where = fmt::format("proxy {} on CONNECT to {}", proxy.name(), peer_);
  const auto failure = [](std::string message) {
    return std::unexpected(HttpError{HttpErrorKind::proxy, std::move(message)});
  };

  const std::string request = connect_request(peer_, proxy);
  RequestWriter writer(*connection);
  auto written = co_await writer.write(request, {}, connect_timeout_);
  if (!written) co_return failure(fmt::format("{}: {}", where, written.error().reason));

  ResponseReader reader(std::move(connection), where,
                        {.header_bytes = kProxyHeaderBytes, .body_bytes = 0, .no_body = true});
  auto read = co_await reader.read_header(deadline, connect_timeout_);
  if (!read) co_return failure(std::move(read.error().message));
  const auto& answer = reader.parser();
  if (answer.status / 100 != 2) {
    co_return failure(fmt::format("proxy {} refused CONNECT to {}: {} {}", proxy.name(), peer_, answer.status,
                                  one_line(answer.reason)));
  }
  auto opened = reader.take_tunnel();
  if (!opened) co_return failure(where + ": it sent more than an answer");
  co_return opened;
}

asio::awaitable<Connector::Connected> Connector::secure(std::unique_ptr<Connection> connection) {
  const auto failure = [&](std::string_view why) {
    return std::unexpected(HttpError{HttpErrorKind::tls, fmt::format("TLS to {}: {}", peer_, why)});
  };
  auto context = trust_.context();
  if (!context) co_return failure(context.error());
  auto secured = co_await connection->start_tls(*context, base_.host, deadline_after(tls_timeout_));
  if (secured) co_return connection;
  const IoError& error = secured.error();
  if (error.kind == IoError::Kind::timeout) {
    co_return failure("no answer within " + duration_text(tls_timeout_));
  }
  if (error.kind == IoError::Kind::closed) co_return failure(error.reason + " during the handshake");
  if (!connection->issuer_unknown()) co_return failure(error.reason);
  co_return failure(fmt::format("{} ({}; --ca-file adds one)", error.reason, trust_.description()));
}

}  // namespace sandbox_worker::worker
