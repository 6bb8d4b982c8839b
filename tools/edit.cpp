#include "tools/edit.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <utility>

#include "tools/atomic_file.hpp"
#include "tools/edit_match.hpp"
#include "tools/file_lock.hpp"
#include "tools/input.hpp"
#include "tools/near_names.hpp"
#include "tools/offload.hpp"
#include "tools/text.hpp"
#include "tools/workspace.hpp"

namespace sandbox_worker::tools {
namespace {

constexpr std::string_view kInterrupted = "interrupted; the file is unchanged";

ToolResult failure(std::string_view text) {
  return ToolResult::error(fmt::format("edit: {}", text));
}

/// A missing file or directory is not made: there is no text in it to replace.
ToolResult missing(const Workspace& workspace, std::string_view path) {
  return failure(system_error_text("open", path, ENOENT) + near_names_hint(workspace, path));
}

std::string_view line_ends_note(const EditedText& edited) {
  if (edited.wrote_crlf) return "; the line endings there are CRLF, so the new text got them too";
  return edited.found_crlf ? "; the line endings there are CRLF" : "";
}

std::string answer(const EditInput& input, const EditedText& edited, const ReplacedFile& replaced) {
  return fmt::format("Edited {}: {} replaced{}{}{}", input.file_path, count_words(edited.count, "occurrence"),
                     line_ends_note(edited), replaced_notes(replaced), show_changes(edited));
}

std::expected<std::string, std::string> content_of(const RegularFile& file, const EditInput& input,
                                                   std::size_t limit, const std::stop_token& stop) {
  auto content = read_up_to(file, limit + 1, stop);
  if (!content && content.error() == ECANCELED) return std::unexpected(std::string(kInterrupted));
  if (!content) return std::unexpected(system_error_text("read", input.file_path, content.error()));
  if (content->size() > limit) {
    const auto words = size_and_limit_words(static_cast<unsigned long long>(file.info.st_size), limit);
    return std::unexpected(fmt::format("{} has {}, over the limit of {}; use bash, e.g. sed -i",
                                       input.file_path, words.size, words.limit));
  }
  return std::move(*content);
}

}  // namespace

ToolResult edit_file(const FileToolOptions& options, const EditInput& input, const std::stop_token& stop) {
  if (input.old_string.empty()) return failure("old_string is empty; name the text to replace, or use write");
  if (input.old_string == input.new_string)
    return failure("old_string and new_string are the same; nothing would change");
  const auto place = options.workspace->resolve(input.file_path);
  if (!place && place.error().error == ENOENT && !input.file_path.empty())
    return missing(*options.workspace, input.file_path);
  if (!place) return failure(place.error().text);
  const auto lock = options.locks->lock(*place);
  const auto old = open_existing(*place, input.file_path, O_RDONLY);
  if (!old) return failure(old.error().text);
  if (!*old) return missing(*options.workspace, input.file_path);
  const auto content = content_of(**old, input, options.limits.max_edit_bytes, stop);
  if (!content) return failure(content.error());
  const Replacement replacement{
      .old_string = input.old_string, .new_string = input.new_string, .replace_all = input.replace_all};
  const auto edited = edit_text(*content, replacement, options.limits.max_edit_bytes, stop);
  if (stop.stop_requested()) return failure(kInterrupted);
  if (!edited) return failure(fmt::format("{}: {}", input.file_path, edited.error()));
  const auto replaced = replace_file(*place, input.file_path,
                                     {.bytes = edited->content, .old = &**old, .based_on_old = true}, stop);
  if (!replaced) return failure(replaced.error().text);
  return ToolResult::text(answer(input, *edited, *replaced));
}

Edit::Edit(FileToolOptions options) : options_(std::move(options)) {}

boost::asio::awaitable<ToolResult> Edit::run(nlohmann::json input) {
  Input fields("edit", std::move(input));
  EditInput decoded;
  decoded.file_path = fields.required_string("file_path");
  decoded.old_string = fields.required_string("old_string");
  decoded.new_string = fields.required_string("new_string");
  decoded.replace_all = fields.optional_bool("replace_all").value_or(false);
  if (fields.failed()) co_return fields.error();
  auto work = [this, decoded = std::move(decoded)](const std::stop_token& stop) {
    return edit_file(options_, decoded, stop);
  };
  co_return co_await offload(options_.pool, std::move(work));
}

}  // namespace sandbox_worker::tools
