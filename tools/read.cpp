#include "tools/read.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "tools/file_kind.hpp"
#include "tools/line_range.hpp"
#include "tools/media_content.hpp"
#include "tools/offload.hpp"
#include "tools/regular_file.hpp"
#include "tools/text.hpp"

namespace sandbox_worker::tools {
namespace {

/// One call on a file that is open.
class Reading {
 public:
  Reading(const RegularFile& file, const ReadInput& input, const Limits& limits, const std::stop_token& stop)
      : file_(file), input_(input), limits_(limits), stop_(stop) {}

  ToolResult run() const {
    std::array<char, kSniffBytes> head;
    const auto length = read_at(file_.fd.get(), head, 0);
    if (!length) return system_error(length.error());
    std::array<char, kSniffTailBytes> tail;
    const auto tail_length =
        read_at(file_.fd.get(), tail, std::max<off_t>(0, size() - static_cast<off_t>(tail.size())));
    if (!tail_length) return system_error(tail_length.error());
    const auto kind = kind_of({head.data(), *length}, {tail.data(), *tail_length});
    switch (kind.kind) {
      case FileKind::Class::image:
      case FileKind::Class::document:
        return media(kind);
      case FileKind::Class::binary:
        return failure("{} is not UTF-8 text but {} ({}); {}", input_.file_path, kind.description,
                       size_words(static_cast<unsigned long long>(size())), kind.advice);
      case FileKind::Class::text:
        break;
    }
    return input_.view_range ? range(*input_.view_range) : whole();
  }

 private:
  ToolResult media(const FileKind& kind) const {
    auto content = media_content(file_, input_.file_path, kind, stop_);
    if (!content) return ToolResult::error("read: " + content.error());
    ToolResult result;
    result.content.push_back(std::move(*content));
    if (input_.view_range)
      result.content.emplace_back(TextContent{"[view_range is for text; the whole file is shown]"});
    return result;
  }

  ToolResult whole() const {
    if (size() > static_cast<off_t>(limits_.max_read_bytes)) return too_large();
    auto bytes = read_up_to(file_, limits_.max_read_bytes + 1, stop_);
    if (!bytes) return system_error(bytes.error());
    if (bytes->size() > limits_.max_read_bytes) return too_large();
    return text(std::move(*bytes));
  }

  ToolResult too_large() const {
    const auto count = count_lines(file_.fd.get(), limits_.max_read_bytes, stop_);
    if (!count) return system_error(count.error());
    const auto advice =
        count->first_that_fit > 0
            ? fmt::format("ask for some of them with view_range, e.g. [1, {}]", count->first_that_fit)
            : "line 1 alone is larger: show a part of it with bash, e.g. head -c or cut -c";
    const auto [has, limit] =
        size_and_limit_words(static_cast<unsigned long long>(size()), limits_.max_read_bytes);
    return failure("{} has {}{} ({}), over the limit of {}; {}", input_.file_path,
                   count->complete ? "" : "more than ",
                   count_words(static_cast<unsigned long long>(count->lines), "line"), has, limit, advice);
  }

  ToolResult range(const Input::Pair& asked) const {
    const LineRange range{.first = std::max<std::int64_t>(asked.first, 1),
                          .last = std::max<std::int64_t>(asked.second, 0)};
    if (range.last > 0 && range.last < range.first)
      return failure("view_range [{}, {}] ends before it begins", asked.first, asked.second);
    auto lines = read_lines(file_.fd.get(), range, limits_.max_read_bytes, stop_);
    if (!lines) return system_error(lines.error());
    if (!lines->fits) return range_too_large(range, *lines);
    if (lines->text.empty() && range.first > 1)
      return failure("{} has {}, and view_range begins at line {}", input_.file_path,
                     count_words(static_cast<unsigned long long>(lines->lines_in_file), "line"), range.first);
    return text(std::move(lines->text));
  }

  ToolResult range_too_large(const LineRange& range, const Lines& lines) const {
    const auto limit = size_words(limits_.max_read_bytes);
    if (lines.last_fitting < range.first)
      return failure(
          "line {} of {} alone is over the limit of {}; show a part of it with bash, e.g. sed -n {}p | cut "
          "-c",
          range.first, input_.file_path, limit, range.first);
    return failure("these lines of {} are over the limit of {}; view_range [{}, {}] fits", input_.file_path,
                   limit, range.first, lines.last_fitting);
  }

  static ToolResult text(std::string bytes) {
    if (bytes.empty()) return ToolResult::text("[the file is empty]");
    auto shown = show_text(std::move(bytes));
    auto result = ToolResult::text(std::move(shown.text));
    std::string notes;
    if (shown.replaced > 0)
      notes += fmt::format("[{} that {} not UTF-8 shown as \uFFFD]",
                           count_words(shown.replaced, "byte sequence"), shown.replaced == 1 ? "is" : "are");
    if (shown.nuls > 0) notes += fmt::format("[{} shown as \u2400]", count_words(shown.nuls, "NUL byte"));
    if (!notes.empty()) result.content.emplace_back(TextContent{std::move(notes)});
    return result;
  }

  template <class... Args>
  static ToolResult failure(fmt::format_string<Args...> format, Args&&... args) {
    return ToolResult::error("read: " + fmt::format(format, std::forward<Args>(args)...));
  }

  ToolResult system_error(int error) const {
    if (error == ECANCELED) return failure("interrupted before {} was read", input_.file_path);
    return ToolResult::error("read: " + system_error_text("read", input_.file_path, error));
  }

  off_t size() const { return file_.info.st_size; }

  const RegularFile& file_;
  const ReadInput& input_;
  const Limits& limits_;
  const std::stop_token& stop_;
};

}  // namespace

ToolResult read_file(const Workspace& workspace, const ReadInput& input, const Limits& limits,
                     const std::stop_token& stop) {
  const auto file = open_regular(workspace, input.file_path);
  if (!file) return ToolResult::error("read: " + file.error().text);
  return Reading(*file, input, limits, stop).run();
}

Read::Read(FileToolOptions options) : options_(std::move(options)) {}

boost::asio::awaitable<ToolResult> Read::run(nlohmann::json input) {
  Input fields("read", std::move(input));
  ReadInput decoded;
  decoded.file_path = fields.required_string("file_path");
  decoded.view_range = fields.optional_integer_pair("view_range");
  if (fields.failed()) co_return fields.error();
  auto work = [this, decoded = std::move(decoded)](const std::stop_token& stop) {
    return read_file(*options_.workspace, decoded, options_.limits, stop);
  };
  co_return co_await offload(options_.pool, std::move(work));
}

}  // namespace sandbox_worker::tools
