#include "tools/edit_match.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tools/text.hpp"

namespace sandbox_worker::tools {
namespace {

constexpr std::size_t kContext = 2;    // lines before and after a change
constexpr std::size_t kMaxHunks = 5;   // an answer is a check, not a copy of the file
constexpr std::size_t kMaxLines = 40;  // shown of one hunk
constexpr std::size_t kMaxLine = 300;  // bytes shown of one line

/// Lines that are shown together, as offsets; `end` is behind the last line.
struct Hunk {
  std::size_t begin;
  std::size_t end;
};

std::size_t lines_back(std::string_view text, std::size_t offset, std::size_t lines) {
  for (std::size_t i = 0;; ++i) {
    const auto newline = offset == 0 ? std::string_view::npos : text.rfind('\n', offset - 1);
    if (newline == std::string_view::npos) return 0;
    if (i == lines) return newline + 1;
    offset = newline;
  }
}

std::size_t lines_on(std::string_view text, std::size_t offset, std::size_t lines) {
  for (std::size_t i = 0; i <= lines; ++i) {
    const auto newline = text.find('\n', offset);
    if (newline == std::string_view::npos) return text.size();
    offset = newline + 1;
  }
  return offset;
}

/// Where the lines begin that are shown of the change at `start`, with those before it.
std::size_t hunk_begin(const EditedText& edited, std::size_t start) {
  return lines_back(edited.content, start, kContext);
}

/// The end of the change at `start`. A new text that ends with a line end doesn't reach into the next line.
std::size_t last_byte(const EditedText& edited, std::size_t start) {
  const auto last = edited.length > 0 ? start + edited.length - 1 : start;
  return std::min(last, edited.content.size());
}

std::size_t hunk_end(const EditedText& edited, std::size_t start) {
  return lines_on(edited.content, last_byte(edited, start), kContext);
}

/// Whether the change at `start` ends in the same line as the one before it. So do many in a long line, which
/// then isn't followed to its end for each of them.
bool ends_in_line_of(const EditedText& edited, std::size_t before, std::size_t start) {
  const auto from = last_byte(edited, before);
  return !std::string_view(edited.content).substr(from, last_byte(edited, start) - from).contains('\n');
}

/// Whether the change at `start`, which is behind the ones of `hunk`, is shown together with them. Of a long
/// line with many changes only the first one is followed back to its begin.
bool belongs_to(const Hunk& hunk, const EditedText& edited, std::size_t start) {
  return start < hunk.end || hunk_begin(edited, start) <= hunk.end;
}

/// Where the first change in a line is, counted from its begin; 0 when there is none.
std::size_t change_in(const EditedText& edited, std::size_t begin, std::size_t end) {
  for (const auto start : edited.starts)
    if (start + edited.length > begin && start < end) return std::max(start, begin) - begin;
  return 0;
}

std::string places_left(std::size_t count) {
  return fmt::format("\n… and {} elsewhere", count_words(count, "more place"));
}

std::string show_hunk(const EditedText& edited, const Hunk& hunk, std::size_t line) {
  const std::string_view text = edited.content;
  std::string shown;
  std::size_t begin = hunk.begin;
  for (std::size_t lines = 0; begin < hunk.end && lines < kMaxLines; ++lines) {
    const auto end = std::min(text.find('\n', begin), hunk.end - 1) + 1;
    shown += fmt::format("\n{:>6}\t{}", line++,
                         show_line(text.substr(begin, end - begin), kMaxLine, change_in(edited, begin, end)));
    begin = end;
  }
  const auto rest = text.substr(begin, hunk.end - begin);
  if (!rest.empty()) {
    const auto lines =
        static_cast<std::size_t>(std::ranges::count(rest, '\n')) + (rest.ends_with('\n') ? 0 : 1);
    shown += fmt::format("\n… {} more", count_words(lines, "line"));
  }
  return shown;
}

}  // namespace

std::string show_changes(const EditedText& edited) {
  const std::string_view text = edited.content;
  std::string shown;
  std::size_t counted_to = 0;
  std::size_t line = 1;
  std::size_t hunks = 0;
  for (std::size_t i = 0; i < edited.starts.size();) {
    const auto start = edited.starts[i];
    Hunk hunk{.begin = hunk_begin(edited, start), .end = hunk_end(edited, start)};
    std::size_t next = i + 1;
    for (; next < edited.starts.size() && belongs_to(hunk, edited, edited.starts[next]); ++next)
      if (!ends_in_line_of(edited, edited.starts[next - 1], edited.starts[next]))
        hunk.end = hunk_end(edited, edited.starts[next]);
    if (hunks++ == kMaxHunks) return shown + places_left(edited.count - i);
    if (!shown.empty()) shown += "\n   ...";
    line +=
        static_cast<std::size_t>(std::ranges::count(text.substr(counted_to, hunk.begin - counted_to), '\n'));
    counted_to = hunk.begin;
    shown += show_hunk(edited, hunk, line);
    i = next;
  }
  return edited.count > edited.starts.size() ? shown + places_left(edited.count - edited.starts.size())
                                             : shown;
}

}  // namespace sandbox_worker::tools
