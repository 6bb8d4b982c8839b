#pragma once

#include <chrono>
#include <string>

#include "tests/session_server/session_server.hpp"

namespace session_server {

/// Has the agent make one bash call. `id` is the call's.
void begin_bash(SessionServer& server, const std::string& id, const std::string& command);

/// The text of the call's answer, once there is one. Throws when none comes within `limit`.
std::string answer_to(SessionServer& server, const std::string& id,
                      std::chrono::milliseconds limit = std::chrono::seconds(20));

/// Both: what the command printed.
std::string bash(SessionServer& server, const std::string& id, const std::string& command);

}  // namespace session_server
