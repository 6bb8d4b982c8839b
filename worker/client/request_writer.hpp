#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <expected>
#include <string_view>

#include "worker/client/connection.hpp"

namespace sandbox_worker::worker {

/// Writes one request to a connection, which it doesn't own.
class RequestWriter {
 public:
  explicit RequestWriter(Connection& connection) : connection_(connection) {}

  /// All of it. `limit` is the longest time without progress: a slow line may take long over a large body.
  /// The views must live until this is done.
  boost::asio::awaitable<std::expected<void, IoError>> write(std::string_view head, std::string_view body,
                                                             std::chrono::milliseconds limit);

  /// Some byte was handed over, so the server may have seen it.
  bool has_begun() const { return has_begun_; }

 private:
  boost::asio::awaitable<std::expected<void, IoError>> write_all(std::string_view bytes,
                                                                 std::chrono::milliseconds limit);

  Connection& connection_;
  bool has_begun_ = false;
};

}  // namespace sandbox_worker::worker
