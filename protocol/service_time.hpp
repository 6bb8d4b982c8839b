#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace sandbox_worker::protocol {

/// A time that the service gave to an event (`processed_at`), cut to microseconds.
using ServiceTime = std::chrono::sys_time<std::chrono::microseconds>;

/// RFC 3339, e.g. 2026-10-21T07:28:00.25Z or with an offset; nothing when it is anything else.
std::optional<ServiceTime> parse_service_time(std::string_view text);

/// In UTC, with six digits after the second.
std::string format_service_time(ServiceTime time);

}  // namespace sandbox_worker::protocol
