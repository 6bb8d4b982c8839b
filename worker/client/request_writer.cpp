#include "worker/client/request_writer.hpp"

#include <algorithm>
#include <string>

namespace sandbox_worker::worker {

namespace asio = boost::asio;

namespace {

/// Head and beginning of the body leave together: one packet, one TLS record, for most requests.
constexpr std::size_t kFirstWrite = 16 * 1024;

}  // namespace

asio::awaitable<std::expected<void, IoError>> RequestWriter::write(std::string_view head,
                                                                   std::string_view body,
                                                                   std::chrono::milliseconds limit) {
  const std::size_t with_head = std::min(body.size(), kFirstWrite - std::min(head.size(), kFirstWrite));
  std::string first(head);
  first += body.substr(0, with_head);
  auto written = co_await write_all(first, limit);
  if (written) written = co_await write_all(body.substr(with_head), limit);
  co_return written;
}

asio::awaitable<std::expected<void, IoError>> RequestWriter::write_all(std::string_view bytes,
                                                                       std::chrono::milliseconds limit) {
  while (!bytes.empty()) {
    auto count = co_await connection_.write_some(bytes, deadline_after(limit));
    if (!count) co_return std::unexpected(std::move(count.error()));
    has_begun_ = true;
    bytes.remove_prefix(*count);
  }
  co_return std::expected<void, IoError>();
}

}  // namespace sandbox_worker::worker
