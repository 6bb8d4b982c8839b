#pragma once

#include <string>

#include "tests/session_server/settings.hpp"

namespace session_server {

/// One event as it goes over the stream.
std::string sse_frame(const Json& event, const StreamSettings& settings);

/// What keeps a silent stream alive.
std::string sse_ping(const StreamSettings& settings);

}  // namespace session_server
