#pragma once

#include <stop_token>
#include <string>

#include "tools/file_tool_options.hpp"
#include "tools/tool.hpp"

namespace sandbox_worker::tools {

struct EditInput {
  std::string file_path;
  std::string old_string;
  std::string new_string;
  bool replace_all = false;
};

/// Replaces a text in a file, byte for byte, and the file in one step. After an error the file is as it was.
ToolResult edit_file(const FileToolOptions& options, const EditInput& input, const std::stop_token& stop);

/// edit {file_path, old_string, new_string, replace_all?}
class Edit final : public Tool {
 public:
  explicit Edit(FileToolOptions options);
  std::string_view name() const noexcept override { return "edit"; }
  boost::asio::awaitable<ToolResult> run(nlohmann::json input) override;

 private:
  const FileToolOptions options_;
};

}  // namespace sandbox_worker::tools
