#pragma once

#include <stop_token>

#include "tools/search_place.hpp"
#include "tools/tool.hpp"

namespace sandbox_worker::tools {

/// grep {pattern, path?}: the lines of files that a regular expression matches, as "path:line:text" in path
/// order.
class Grep final : public Tool {
 public:
  explicit Grep(SearchOptions options) : options_(std::move(options)) {}

  std::string_view name() const noexcept override { return "grep"; }
  boost::asio::awaitable<ToolResult> run(nlohmann::json input) override;

  /// One whole call, on the calling thread and those of the pool that are free. `path` is "." when none was
  /// given.
  ToolResult search(std::string_view pattern, std::string_view path, std::stop_token stop) const;

 private:
  const SearchOptions options_;
};

}  // namespace sandbox_worker::tools
