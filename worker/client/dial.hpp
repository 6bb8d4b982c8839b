#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <expected>
#include <vector>

#include "tools/unique_fd.hpp"
#include "worker/client/deadline.hpp"

namespace sandbox_worker::worker {

/// The addresses in the order to try them: families alternate, IPv6 first, else as given.
std::vector<boost::asio::ip::address> dial_order(std::vector<boost::asio::ip::address> addresses);

/// Connects to the first address that answers: attempts start 250 ms apart, or as soon as all before have
/// failed (RFC 8305). Gives a non-blocking, close-on-exec socket; else the errno that tells most, ETIMEDOUT
/// at `deadline`. Throws operation_aborted when cancelled, with all attempts closed.
boost::asio::awaitable<std::expected<tools::UniqueFd, int>> dial(
    boost::asio::any_io_executor executor, std::vector<boost::asio::ip::address> addresses,
    std::uint16_t port, Deadline deadline);

}  // namespace sandbox_worker::worker
