#include "tools/search_notes.hpp"

#include <fmt/format.h>

#include <utility>

namespace sandbox_worker::tools {

std::string counted(std::uint64_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::string unreadable_note(std::uint64_t directories) {
  return fmt::format(
      "[{} couldn't be read, so what is below is left out; see bash: find -type d ! -readable]",
      counted(directories, "directory", "directories"));
}

std::string rules_left_out_note() {
  return "[the .gitignore files and the like hold over 50,000 rules or 4 MiB for one directory; the rest of "
         "these "
         "rules doesn't count here]";
}

ToolResult with_deadline_note(std::string_view tool, std::string text, const Deadline& deadline,
                              std::chrono::milliseconds limit) {
  if (!deadline.has_cut()) return ToolResult::text(std::move(text));
  if (!text.ends_with('\n')) text += '\n';
  if (deadline.interrupted()) {
    return ToolResult::error(fmt::format("{}[{} was interrupted; this is what it had found]", text, tool));
  }
  const double seconds = static_cast<double>(limit.count()) / 1000;
  return ToolResult::text(
      fmt::format("{}[stopped at the time limit of {} s; this is what was found until then. Narrow "
                  "the path or the pattern]",
                  text, seconds));
}

}  // namespace sandbox_worker::tools
