#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <stop_token>
#include <string_view>

#include "tools/search_place.hpp"
#include "tools/tool_result.hpp"

namespace sandbox_worker::tools {

/// What a search that was asked to stop may take to say what it has found. Most take 3 ms; what RE2 does with
/// a hostile pattern can take 0.2 s at a time, and whoever cancels a call should not wait for that.
inline constexpr auto kSearchGrace = std::chrono::milliseconds(35);

/// One whole search, on a thread of the pool. It may outlive the call and its tool, see below.
using SearchFunction =
    std::function<ToolResult(std::string_view pattern, std::string_view path, std::stop_token stop)>;

/// One call of glob or grep, whose inputs have the same form, {pattern, path?}: decodes it, waits for its
/// turn, then runs `search` on the pool. `path` is "." when none was given. Cancelled: the search is asked to
/// stop, and what it then returns is the result. One that hasn't stopped after `grace` is left to itself: it
/// ends with its next look at the token, keeps its turn until then, and its result is dropped.
boost::asio::awaitable<ToolResult> run_search_call(std::string_view tool, nlohmann::json input,
                                                   const SearchOptions& options, SearchFunction search,
                                                   std::chrono::milliseconds grace = kSearchGrace);

}  // namespace sandbox_worker::tools
