#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <expected>
#include <string>
#include <vector>

#include "worker/client/deadline.hpp"

namespace sandbox_worker::worker {

/// Names to addresses without the C library's resolver, which a static program can't use.
/// IP literals and `localhost` need no look-up; then /etc/hosts; then the name servers of /etc/resolv.conf,
/// read anew each time, since a machine may wake up in another network.
class Resolver {
 public:
  /// `servers`: `host:port,…` in place of those of resolv.conf; empty: those.
  explicit Resolver(boost::asio::any_io_executor executor, std::string servers = {});

  /// At least one address, in no special order; or why there is none, as the end of a sentence.
  /// Throws operation_aborted when cancelled; all that the look-up opened is closed by then.
  boost::asio::awaitable<std::expected<std::vector<boost::asio::ip::address>, std::string>> resolve(
      std::string host, Deadline deadline);

 private:
  boost::asio::any_io_executor executor_;
  std::string servers_;
};

}  // namespace sandbox_worker::worker
