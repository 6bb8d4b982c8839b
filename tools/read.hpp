#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "tools/file_tool_options.hpp"
#include "tools/input.hpp"
#include "tools/tool.hpp"
#include "tools/workspace.hpp"

namespace sandbox_worker::tools {

struct ReadInput {
  std::string file_path;
  std::optional<Input::Pair>
      view_range;  // first and last line, 1-based; first <= 0: 1, last <= 0: to the end
};

/// The text of a file or of some of its lines, byte for byte; what can't be shown is replaced, which a second
/// block says. Images and PDFs are blocks of their own kind. Nothing else is shortened: what is over a limit
/// is an error that says how to ask for less.
ToolResult read_file(const Workspace& workspace, const ReadInput& input, const Limits& limits,
                     const std::stop_token& stop);

/// read {file_path, view_range?}
class Read final : public Tool {
 public:
  explicit Read(FileToolOptions options);
  std::string_view name() const noexcept override { return "read"; }
  boost::asio::awaitable<ToolResult> run(nlohmann::json input) override;

 private:
  const FileToolOptions options_;
};

}  // namespace sandbox_worker::tools
