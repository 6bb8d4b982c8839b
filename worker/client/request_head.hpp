#pragma once

#include <expected>
#include <string>

#include "protocol/request.hpp"
#include "worker/client/http.hpp"
#include "worker/client/proxy.hpp"

namespace sandbox_worker::worker {

/// The request line and header, up to and with the empty line. `defaults` yield to the request's own headers.
/// `forward_proxy`: a proxy that is to fetch a plain http URL itself; else null.
/// The error is a sentence: a line break would let a value add headers of its own.
std::expected<std::string, std::string> request_head(const BaseUrl& base, const Headers& defaults,
                                                     const protocol::Request& request,
                                                     const Proxy* forward_proxy);

}  // namespace sandbox_worker::worker
