#pragma once

#include <string>
#include <string_view>

#include "protocol/result.hpp"

namespace sandbox_worker::protocol {

/// wire.md#session: what is used of GET /v1/sessions/{id}.
struct Session {
  bool terminated = false;
};

Result<Session> parse_session(std::string_view json);

}  // namespace sandbox_worker::protocol
