#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/request.hpp"

namespace sandbox_worker::worker {

enum class HttpErrorKind {
  resolve,    // the name has no address
  connect,    // refused, unreachable, or not within the limit
  tls,        // handshake or certificate
  proxy,      // the proxy said no, or can't be reached
  timeout,    // connected, but write, response or stream silence took longer than its limit
  closed,     // the connection ended before the message did
  malformed,  // the answer is not HTTP/1.1, or the request can't be
  too_large,  // header or body over its limit
};

struct HttpError {
  HttpErrorKind kind{};
  std::string message;        // one line for people: what, to whom, why; without secrets
  bool request_sent = false;  // some byte of the request may have reached the server, so it may have acted
};

using Headers = std::vector<std::pair<std::string, std::string>>;

/// The value of the first header of that name, case ignored.
std::optional<std::string_view> find_header(const Headers& headers, std::string_view name);

struct HttpResponse {
  unsigned status = 0;
  Headers headers;
  std::string body;
};

/// An absolute http or https URL, taken apart. `prefix` is its path without a slash at the end.
struct BaseUrl {
  bool tls = true;
  std::string host;  // without brackets for an IPv6 address
  std::uint16_t port = 443;
  std::string prefix;

  /// The error is a sentence without the value's user info.
  static std::expected<BaseUrl, std::string> parse(std::string_view url);
};

/// One per process: where to find proxies and trusted certificates. A time limit of zero is none.
struct HttpOptions {
  std::chrono::milliseconds connect_timeout = std::chrono::seconds(10);
  std::chrono::milliseconds tls_timeout = std::chrono::seconds(10);
  std::chrono::milliseconds write_timeout = std::chrono::seconds(30);  // without progress
  // To the end of the header, then again to the end of the body.
  std::chrono::milliseconds response_timeout = std::chrono::seconds(60);
  std::size_t max_header_bytes = 64 * 1024;
  std::size_t max_body_bytes = 32 * 1024 * 1024;  // of a whole response; a streamed one has no limit
  std::string https_proxy;                        // http://[user:password@]host:port; empty: direct
  std::string http_proxy;
  std::string no_proxy;  // comma-separated hosts, .domains, CIDR blocks, *
  std::string ca_file;   // --ca-file, else SSL_CERT_FILE; added to the system's, which are probed
  std::string ca_dir;    // SSL_CERT_DIR, in place of the system's
  Headers headers;       // sent with every request unless the request has one of that name
};

/// The body of one response, read as it arrives. Closing it (destruction) closes its connection.
class HttpStream {
 public:
  virtual ~HttpStream() = default;
  virtual unsigned status() const = 0;
  virtual const Headers& headers() const = 0;
  /// The next bytes of the body, valid until the next call; empty at its clean end. At most 64 KiB at once.
  /// `silence`: the longest wait for the next byte.
  virtual boost::asio::awaitable<std::expected<std::string_view, HttpError>> read(
      std::chrono::milliseconds silence) = 0;
};

/// HTTP/1.1 to one server over kept-alive connections. Redirects are answers, never followed.
/// Executor: make, use and destroy on the one given. Any number of requests may run at once, each on its own
/// connection. Cancelled (terminal): throws operation_aborted and closes the request's connection.
class HttpClient {
 public:
  HttpClient(const boost::asio::any_io_executor& executor, BaseUrl base, HttpOptions options);
  ~HttpClient();
  HttpClient(HttpClient&&) noexcept;

  /// One attempt, whole response. A kept-alive connection that turns out closed before any byte of the
  /// response is replaced by a new one only for a GET, or when nothing of the request was written.
  /// `on_sent`: called when the request is written, before its answer; again when it had to be written anew.
  boost::asio::awaitable<std::expected<HttpResponse, HttpError>> send(protocol::Request request,
                                                                      std::function<void()> on_sent = {});

  /// One attempt, up to the end of the response's header.
  boost::asio::awaitable<std::expected<std::unique_ptr<HttpStream>, HttpError>> open(
      protocol::Request request);

  /// Opens one idle connection, so that the next request doesn't wait for it. Failing is silent: the request
  /// will meet the same error and tell it.
  boost::asio::awaitable<void> warm_up();

  /// Closes the connections that are idle now. An answer or a write that runs into its limit does the same.
  void drop_idle();

  /// Gives up every connection, as after the machine was suspended, when all may be dead without a word. Idle
  /// ones are closed, connecting begins anew, and a request that is under way ends as `closed` (or begins
  /// anew where a kept-alive connection allows it).
  void give_up_connections();

 private:
  struct State;
  struct Steps;
  std::shared_ptr<State> state_;  // shared with the requests under way
};

}  // namespace sandbox_worker::worker
