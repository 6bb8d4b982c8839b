#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <stop_token>
#include <string_view>

#include "tools/tool_result.hpp"

namespace sandbox_worker::tools {

/// One whole search, on a thread of the pool.
using SearchFunction =
    std::function<ToolResult(std::string_view pattern, std::string_view path, std::stop_token stop)>;

/// One call of glob or grep, whose inputs have the same form, {pattern, path?}: decodes it, then runs
/// `search` on `pool`. `path` is "." when none was given. Cancelled: the search is asked to stop, and what it
/// then returns is the result.
boost::asio::awaitable<ToolResult> run_search_call(std::string_view tool, nlohmann::json input,
                                                   boost::asio::any_io_executor pool, SearchFunction search);

}  // namespace sandbox_worker::tools
