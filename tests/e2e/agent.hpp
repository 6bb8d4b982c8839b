#pragma once

#include <chrono>
#include <string>

#include "tests/session_server/session_server.hpp"

namespace session_server {

/// The text of the call's answer, once there is one. Throws when none comes within `limit`.
std::string answer_to(SessionServer& server, const std::string& id,
                      std::chrono::milliseconds limit = std::chrono::seconds(60));

/// Has the agent make one bash call, and gives what the command printed.
std::string bash(SessionServer& server, const std::string& id, const std::string& command);

}  // namespace session_server
