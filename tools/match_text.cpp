#include "tools/match_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "tools/search_notes.hpp"
#include "tools/utf8.hpp"
#include "tools/utf8_step.hpp"

namespace sandbox_worker::tools {
namespace {

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

std::size_t skip_characters(std::string_view text, std::size_t at, std::size_t count) {
  for (; count > 0 && at < text.size(); --count) at += utf8_step(text, at).length;
  return at;
}

// A third of what is shown precedes the match.
void append_part_around(std::string& out, std::string_view line, std::size_t match, std::size_t more) {
  std::size_t begin = match - std::min(match, kMaxShownLine / 3);
  while (begin > 0 && begin < line.size() && is_continuation(line[begin])) --begin;
  const std::size_t end = skip_characters(line, begin, kMaxShownLine);
  if (begin > 0) fmt::format_to(std::back_inserter(out), "[{} bytes cut]…", begin);
  append_valid_utf8(out, line.substr(begin, end - begin));
  if (end == line.size()) return;
  fmt::format_to(std::back_inserter(out), "…[{} bytes cut", line.size() - end);
  if (more > 0) {
    fmt::format_to(std::back_inserter(out), "; {}{} in this line", more == kMaxCounted ? "at least " : "",
                   counted(more, "more match", "more matches"));
  }
  out += ']';
}

}  // namespace

void append_valid_utf8(std::string& out, std::string_view text) {
  const std::size_t valid = valid_utf8_prefix(text);
  out += text.substr(0, valid);
  if (valid < text.size()) out += to_valid_utf8(text.substr(valid));
}

std::size_t append_match(std::string& out, std::string_view path, const FileHit& hit) {
  std::size_t count = 0;
  for (std::size_t at = 0; at <= hit.lines.size(); ++count) {
    const std::size_t end = std::min(hit.lines.find('\n', at), hit.lines.size());
    std::string_view line = hit.lines.substr(at, end - at);
    const std::size_t match = hit.match_begin < at ? 0 : std::min(hit.match_begin - at, line.size());
    at = end + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    append_valid_utf8(out, path);
    out += ':';
    out += fmt::format_int(hit.line + count).c_str();
    out += ':';
    if (line.size() <= kMaxShownLine || skip_characters(line, 0, kMaxShownLine) == line.size()) {
      append_valid_utf8(out, line);
    } else {
      append_part_around(out, line, match, hit.more);
    }
    out += '\n';
  }
  return count;
}

}  // namespace sandbox_worker::tools
