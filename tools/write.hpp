#pragma once

#include <stop_token>
#include <string>

#include "tools/file_tool_options.hpp"
#include "tools/tool.hpp"

namespace sandbox_worker::tools {

struct WriteInput {
  std::string file_path;
  std::string content;
};

/// Makes or replaces a file in one step, and the directories on the way. After an error the old file is
/// whole.
ToolResult write_file(const FileToolOptions& options, const WriteInput& input, const std::stop_token& stop);

/// write {file_path, content}
class Write final : public Tool {
 public:
  explicit Write(FileToolOptions options);
  std::string_view name() const noexcept override { return "write"; }
  boost::asio::awaitable<ToolResult> run(nlohmann::json input) override;

 private:
  const FileToolOptions options_;
};

}  // namespace sandbox_worker::tools
