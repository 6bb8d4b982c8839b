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

/// How long a search may take to say what it has found when its time is over; after that it is left to
/// itself.
struct SearchGrace {
  /// When it is asked to stop. Most take 3 ms; what RE2 does with a hostile pattern can take 0.2 s at a time,
  /// and whoever cancels a call should not wait for that.
  std::chrono::milliseconds cancelled{35};
  /// At its time limit. What takes longer hangs: a file system may not answer any more.
  std::chrono::milliseconds timed_out = std::chrono::seconds(5);
};

/// One whole search, on a thread of the pool. It may outlive the call and its tool, see below.
using SearchFunction =
    std::function<ToolResult(std::string_view pattern, std::string_view path, std::stop_token stop)>;

/// One call of glob or grep, whose inputs have the same form, {pattern, path?}: decodes it, waits for its
/// turn, at most the time limit, then runs `search` on the pool. `path` is "." when none was given.
/// Cancelled: the search is asked to stop, and what it then returns is the result. One that is left to itself
/// ends with its next look at the token, keeps its turn until then, and its result is dropped.
boost::asio::awaitable<ToolResult> run_search_call(std::string_view tool, nlohmann::json input,
                                                   const SearchOptions& options, SearchFunction search,
                                                   SearchGrace grace = {});

}  // namespace sandbox_worker::tools
