#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/tool.hpp"

namespace sandbox_worker::testing {

/// One call, run to its end. The tool's pool must have threads of its own.
tools::ToolResult run_tool(tools::Tool& tool, nlohmann::json input);

/// Several calls at once, one of each tool, on as many lanes.
std::vector<tools::ToolResult> run_tools(const std::vector<std::pair<tools::Tool*, nlohmann::json>>& calls);

/// The text blocks of a result, one after the other, with "error: " before those of an error.
std::string text_of(const tools::ToolResult& result);

}  // namespace sandbox_worker::testing
