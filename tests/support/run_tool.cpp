#include "tests/support/run_tool.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <utility>
#include <variant>

namespace sandbox_worker::testing {

std::vector<tools::ToolResult> run_tools(const std::vector<std::pair<tools::Tool*, nlohmann::json>>& calls) {
  boost::asio::io_context io;
  std::vector<tools::ToolResult> results(calls.size());
  for (std::size_t i = 0; i < calls.size(); ++i)
    boost::asio::co_spawn(io, calls[i].first->run(calls[i].second),
                          [&results, i](const std::exception_ptr& error, tools::ToolResult result) {
                            if (error) std::rethrow_exception(error);
                            results[i] = std::move(result);
                          });
  io.run();
  return results;
}

tools::ToolResult run_tool(tools::Tool& tool, nlohmann::json input) {
  return std::move(run_tools({{&tool, std::move(input)}}).front());
}

std::string text_of(const tools::ToolResult& result) {
  std::string text = result.is_error ? "error: " : "";
  for (const auto& content : result.content)
    if (const auto* block = std::get_if<tools::TextContent>(&content)) text += block->text;
  return text;
}

}  // namespace sandbox_worker::testing
