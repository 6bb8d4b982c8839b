#pragma once

#include <stop_token>

#include "tools/search_place.hpp"
#include "tools/tool.hpp"

namespace sandbox_worker::tools {

/// glob {pattern, path?}: the paths of the files that a pattern matches, newest first.
class Glob final : public Tool {
 public:
  explicit Glob(SearchOptions options) : options_(std::move(options)) {}

  std::string_view name() const noexcept override { return "glob"; }
  boost::asio::awaitable<ToolResult> run(nlohmann::json input) override;

  /// One whole call, on the calling thread and those of the pool that are free. `path` is "." when none was
  /// given.
  ToolResult search(std::string_view pattern, std::string_view path, std::stop_token stop) const;

 private:
  const SearchOptions options_;
};

}  // namespace sandbox_worker::tools
