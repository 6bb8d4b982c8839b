#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <stop_token>
#include <string_view>

#include "tools/search_place.hpp"
#include "tools/tool_result.hpp"

namespace sandbox_worker::tools {

/// One whole search, on a thread of the pool.
using SearchFunction =
    std::function<ToolResult(std::string_view pattern, std::string_view path, std::stop_token stop)>;

/// One call of glob or grep, whose inputs have the same form, {pattern, path?}: decodes it, waits for its
/// turn, then runs `search` on the pool. `path` is "." when none was given. Cancelled: the search is asked to
/// stop, and what it then returns is the result.
boost::asio::awaitable<ToolResult> run_search_call(std::string_view tool, nlohmann::json input,
                                                   const SearchOptions& options, SearchFunction search);

}  // namespace sandbox_worker::tools
