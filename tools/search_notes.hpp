#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "tools/deadline.hpp"
#include "tools/tool_result.hpp"

namespace sandbox_worker::tools {

/// "1 file", "3 files".
std::string counted(std::uint64_t count, std::string_view one, std::string_view many);

/// "[3 directories couldn't be read; …]"
std::string unreadable_note(std::uint64_t directories);

/// "[rules of .gitignore files were left out …]"
std::string rules_left_out_note();

/// The result of a search, with a last line that says so when it was cut: by its time limit, or (then it is
/// an error) by its caller.
ToolResult with_deadline_note(std::string_view tool, std::string text, const Deadline& deadline,
                              std::chrono::milliseconds limit);

}  // namespace sandbox_worker::tools
