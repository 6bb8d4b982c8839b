#pragma once

#include <string>

#include "tests/session_server/fault.hpp"

namespace session_server {

/// A fault as scripts write it; throws ScriptError.
Fault parse_fault(const Json& json, const std::string& where);
Cut parse_cut(const std::string& name, const std::string& where);

}  // namespace session_server
