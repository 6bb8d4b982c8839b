#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sandbox_worker::worker {

/// `host:port`, with brackets round an IPv6 address.
std::string host_port(std::string_view host, std::uint16_t port);

/// The reason of a failed system call, as the end of a sentence.
std::string errno_text(int error);

/// `10 s`, `80 ms`.
std::string duration_text(std::chrono::milliseconds duration);

/// `32 MiB`, `1000 bytes`.
std::string size_text(std::size_t bytes);

/// A peer's text made fit for one log line: printable ASCII, cut at 120 bytes.
std::string one_line(std::string_view text);

}  // namespace sandbox_worker::worker
