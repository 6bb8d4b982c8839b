#pragma once

#include <boost/asio/awaitable.hpp>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "tools/tool_result.hpp"

namespace sandbox_worker::tools {

/// One tool of a lane (a session thread). Calls of a lane come one after another, on the main executor.
class Tool {
 public:
  virtual ~Tool() = default;

  /// As the agent calls it; static storage.
  virtual std::string_view name() const noexcept = 0;

  /// Runs one call. `input` is whatever the model wrote: wrong types and missing fields are an error result
  /// and change nothing, unknown fields are ignored. Never throws for anything a machine or an input can do.
  /// Cancelled (terminal): what runs is stopped soon and the call still completes with a result, which has
  /// the output so far and says that it was interrupted. The caller must reset its own cancellation state
  /// before it awaits anything else.
  virtual boost::asio::awaitable<ToolResult> run(nlohmann::json input) = 0;
};

}  // namespace sandbox_worker::tools
