#include "tools/grep_report.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tools/search_notes.hpp"
#include "tools/utf8.hpp"

namespace sandbox_worker::tools {
namespace {

// What the last line of a cut result takes, generously: the limit holds for the whole.
constexpr std::size_t kReserved = 1000;

}  // namespace

void GrepReport::add(const MatchChunk& chunk) {
  std::string_view text = chunk.text;
  for (const auto& file : chunk.files) {
    add_file(text.substr(0, file.bytes), file);
    text.remove_prefix(file.bytes);
  }
}

void GrepReport::add_file(std::string_view text, const MatchChunk::File& file) {
  lines_ += file.lines;
  const std::size_t fits = full_ ? 0 : fitting(text);
  shown_ += text.substr(0, fits);
  if (!file.continued) last_file_counted_ = false;
  if (fits == text.size()) return;
  const std::string_view rest = text.substr(fits);
  if (!full_) overflow();
  if (file_) file_->append(rest);
  more_lines_ += static_cast<std::uint64_t>(std::ranges::count(rest, '\n'));
  if (!last_file_counted_) ++more_files_;
  last_file_counted_ = true;
}

std::size_t GrepReport::fitting(std::string_view text) {
  std::size_t fits = 0;
  while (fits < text.size()) {
    const std::size_t end = text.find('\n', fits) + 1;
    const std::size_t size = count_code_points(text.substr(fits, end - fits));
    if (size + kReserved > room_) break;
    room_ -= size;
    fits = end;
  }
  return fits;
}

void GrepReport::overflow() {
  full_ = true;
  if (spill_ != nullptr) file_ = spill_->create("grep", Freeing::by_writer);
  if (file_) file_->append(shown_);
}

std::string GrepReport::text() const {
  if (more_lines_ == 0) return shown_;
  std::string text = shown_;
  text +=
      fmt::format("[{} in {} not shown; narrow the pattern or the path]",
                  counted(more_lines_, "more match", "more matches"), counted(more_files_, "file", "files"));
  if (file_) {
    text += fmt::format("\n[{} is in {}; grep or read that file]",
                        file_->complete() ? "all of it" : "the first part of it", file_->path());
  }
  return text;
}

}  // namespace sandbox_worker::tools
