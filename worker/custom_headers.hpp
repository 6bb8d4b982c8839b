#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "worker/client/http.hpp"

namespace sandbox_worker::worker {

/// ANTHROPIC_CUSTOM_HEADERS: one `Name: value` a line; names come out in lower case. What would break the
/// request, or replace what the worker says or expects itself, is left out with a warning.
Headers custom_headers(std::string_view text, std::vector<std::string>& warnings);

}  // namespace sandbox_worker::worker
