#include "tools/match_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "tools/search_notes.hpp"
#include "tools/utf8.hpp"
#include "tools/utf8_step.hpp"

namespace sandbox_worker::tools {
namespace {

std::size_t skip_characters(std::string_view text, std::size_t at, std::size_t count) {
  for (; count > 0 && at < text.size(); --count) at += utf8_step(text, at).length;
  return at;
}

bool is_short(std::string_view line) {
  return line.size() <= kMaxShownLine || skip_characters(line, 0, kMaxShownLine) == line.size();
}

// Of a hit in one line. A third of what is shown precedes the match.
void append_part_around(std::string& out, const FileHit& hit) {
  const std::string_view line = hit.lines;
  std::size_t begin = hit.match_begin - std::min(hit.match_begin, kMaxShownLine / 3);
  while (begin > 0 && begin < line.size() && is_continuation(line[begin])) --begin;
  const std::size_t end = skip_characters(line, begin, kMaxShownLine);
  const auto before = hit.before + begin;
  if (before > 0) fmt::format_to(std::back_inserter(out), "[{} bytes cut]…", before);
  append_valid_utf8(out, line.substr(begin, end - begin));
  if (end == line.size() && !hit.open_end) return;
  if (hit.open_end) {
    out += "…[the rest of a very long line cut";
  } else {
    fmt::format_to(std::back_inserter(out), "…[{} bytes cut", line.size() - end);
  }
  if (hit.more > 0) {
    fmt::format_to(std::back_inserter(out), "; {}{} in this line",
                   hit.more == kMaxCounted || hit.open_end ? "at least " : "",
                   counted(hit.more, "more match", "more matches"));
  }
  out += ']';
}

}  // namespace

void append_valid_utf8(std::string& out, std::string_view text) {
  const std::size_t valid = valid_utf8_prefix(text);
  out += text.substr(0, valid);
  if (valid < text.size()) out += to_valid_utf8(text.substr(valid));
}

std::string shown_path(std::string path) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  if (std::ranges::none_of(path, is_control) && valid_utf8_prefix(path) == path.size()) return path;
  std::string out = "$'";
  for (std::size_t at = 0; at < path.size();) {
    const char c = path[at];
    const auto [code_point, length] = utf8_step(path, at);
    if (c == '\n') {
      out += "\\n";
    } else if (is_control(c) || code_point >= kInvalidByte) {
      fmt::format_to(std::back_inserter(out), "\\{:03o}", static_cast<unsigned char>(c));
    } else {
      if (c == '\'' || c == '\\') out += '\\';
      out.append(path, at, length);
    }
    at += length;
  }
  return out += '\'';
}

std::size_t append_match(std::string& out, std::string_view path, const FileHit& hit) {
  std::size_t count = 0;
  for (std::size_t at = 0; at <= hit.lines.size(); ++count) {
    const std::size_t end = std::min(hit.lines.find('\n', at), hit.lines.size());
    FileHit one = hit;
    one.lines = hit.lines.substr(at, end - at);
    one.match_begin = hit.match_begin < at ? 0 : std::min(hit.match_begin - at, one.lines.size());
    one.before = at == 0 ? hit.before : 0;
    one.open_end = hit.open_end && end == hit.lines.size();
    at = end + 1;
    if (one.lines.ends_with('\r')) one.lines.remove_suffix(1);
    out += path;
    out += ':';
    out += fmt::format_int(hit.line + count).c_str();
    out += ':';
    if (is_short(one.lines) && one.before == 0 && !one.open_end) {
      append_valid_utf8(out, one.lines);
    } else {
      append_part_around(out, one);
    }
    out += '\n';
  }
  return count;
}

}  // namespace sandbox_worker::tools
