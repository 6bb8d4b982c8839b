#pragma once

#include <string>

#include "tests/session_server/script.hpp"

namespace session_server {

/// One step as scripts write it; throws ScriptError.
Step parse_step(const Json& json, const std::string& where);
FileCheck parse_file_check(const Json& json, const std::string& where);

/// The id of a call that a script calls `name`.
std::string call_id(const std::string& name);

}  // namespace session_server
