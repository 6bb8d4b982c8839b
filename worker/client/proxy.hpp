#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "worker/client/http.hpp"

namespace sandbox_worker::worker {

/// An HTTP proxy on the way to the server.
struct Proxy {
  std::string host;
  std::uint16_t port = 80;
  std::string authorization;  // value of Proxy-Authorization, a secret; empty: none

  /// For messages: `http://host:port`.
  std::string name() const;
};

/// The proxy for requests to `base`, if any. The error is the end of a sentence about the proxy's URL,
/// without its password.
std::expected<std::optional<Proxy>, std::string> choose_proxy(const BaseUrl& base,
                                                              const HttpOptions& options);

/// `*`, `host` and `.host` (that name and all below), `host:port`, IP addresses, CIDR blocks; commas or
/// spaces between them.
bool in_no_proxy(std::string_view no_proxy, std::string_view host, std::uint16_t port);

bool is_loopback(std::string_view host);

}  // namespace sandbox_worker::worker
