#pragma once

#include <boost/asio/awaitable.hpp>
#include <expected>
#include <memory>
#include <string>

#include "worker/client/connection.hpp"
#include "worker/client/http.hpp"
#include "worker/client/response_parser.hpp"

namespace sandbox_worker::worker {

/// Reads one response from a connection, as far as it is asked to. Owns the connection.
class ResponseReader {
 public:
  /// `peer`: who answers, for messages.
  ResponseReader(std::unique_ptr<Connection> connection, std::string peer, ResponseParser::Limits limits);

  /// Until the header is whole. `limit` is what the message says when `deadline` passes.
  boost::asio::awaitable<std::expected<void, HttpError>> read_header(Deadline deadline,
                                                                     std::chrono::milliseconds limit);
  /// One read's worth of body, into parser().body; nothing when the response is done. A timeout has no
  /// message: the caller knows what it waited for.
  boost::asio::awaitable<std::expected<void, HttpError>> read_more(Deadline deadline);

  ResponseParser& parser() { return parser_; }
  const std::string& peer() const { return peer_; }
  Connection& connection() { return *connection_; }
  /// Some byte has come, so the server has seen the request.
  bool has_begun() const { return has_begun_; }

  /// Whatever the response says, no other request may follow it.
  void must_close() { must_close_ = true; }
  /// The connection, if the response is whole and another request may follow; else null, and it closes.
  std::unique_ptr<Connection> take_reusable();
  /// The connection after a CONNECT that was accepted; null if bytes came that nobody asked for.
  std::unique_ptr<Connection> take_tunnel();

 private:
  std::expected<void, HttpError> parse();
  HttpError failure(const IoError& error) const;
  bool make_room();

  std::unique_ptr<Connection> connection_;
  std::string peer_;
  std::size_t most_buffered_;
  ResponseParser parser_;
  std::string buffer_;      // its size is what may be read into
  std::size_t filled_ = 0;  // bytes of it that wait for the parser
  bool has_begun_ = false;
  bool must_close_ = false;
};

}  // namespace sandbox_worker::worker
