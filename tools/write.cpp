#include "tools/write.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <utility>

#include "tools/atomic_file.hpp"
#include "tools/file_lock.hpp"
#include "tools/input.hpp"
#include "tools/offload.hpp"
#include "tools/text.hpp"
#include "tools/workspace.hpp"

namespace sandbox_worker::tools {

ToolResult write_file(const FileToolOptions& options, const WriteInput& input, const std::stop_token& stop) {
  const auto failed = [](const PathError& error) { return ToolResult::error("write: " + error.text); };
  const mode_t directory_mode = options.private_files ? 0700 : 0777;
  auto place = options.workspace->resolve(input.file_path, directory_mode);
  if (!place) return failed(place.error());
  const auto lock = options.locks->lock(*place);
  const auto old = open_existing(*place, input.file_path, O_WRONLY);
  if (!old) return failed(old.error());
  const NewContent content{.bytes = input.content,
                           .new_file_mode = options.private_files ? mode_t{0600} : mode_t{0666},
                           .old = *old ? &**old : nullptr};
  const auto replaced = replace_file(*place, input.file_path, content, stop);
  if (!replaced) return failed(replaced.error());
  place->made.keep();
  return ToolResult::text(fmt::format(
      "Wrote {} to {} ({}){}", count_words(input.content.size(), "byte"), input.file_path,
      *old ? fmt::format("replaced {}",
                         count_words(static_cast<unsigned long long>((*old)->info.st_size), "byte"))
           : "new file",
      replaced_notes(*replaced)));
}

Write::Write(FileToolOptions options) : options_(std::move(options)) {}

boost::asio::awaitable<ToolResult> Write::run(nlohmann::json input) {
  Input fields("write", std::move(input));
  WriteInput decoded;
  decoded.file_path = fields.required_string("file_path");
  decoded.content = fields.required_string("content");
  if (fields.failed()) co_return fields.error();
  auto work = [this, decoded = std::move(decoded)](const std::stop_token& stop) {
    return write_file(options_, decoded, stop);
  };
  co_return co_await offload(options_.pool, std::move(work));
}

}  // namespace sandbox_worker::tools
