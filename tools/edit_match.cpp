#include "tools/edit_match.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tools/occurrences.hpp"
#include "tools/text.hpp"
#include "tools/utf8.hpp"
#include "tools/utf8_step.hpp"

namespace sandbox_worker::tools {
namespace {

constexpr std::size_t kMaxShownLine = 200;  // bytes
constexpr std::size_t kMaxStarts = 100;     // more than an answer shows

std::size_t line_at(std::string_view text, std::size_t offset) {
  return 1 + static_cast<std::size_t>(std::ranges::count(text.substr(0, offset), '\n'));
}

/// The line that `offset` lies in, fit to be shown.
std::string show_line_at(std::string_view text, std::size_t offset) {
  const auto before = offset == 0 ? std::string_view::npos : text.rfind('\n', offset - 1);
  const auto begin = before == std::string_view::npos ? 0 : before + 1;
  const auto end = std::min(text.find('\n', begin), text.size());
  return show_line(text.substr(begin, end - begin), kMaxShownLine, offset - begin);
}

bool has_bare_lf(std::string_view text) {
  for (auto at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1))
    if (at == 0 || text[at - 1] != '\r') return true;
  return false;
}

std::string with_crlf(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r')) result += '\r';
    result += text[i];
  }
  return result;
}

/// Tells how many bytes of what a comparison leaves out begin at an offset.
using LeftOut = std::size_t (*)(std::string_view text, std::size_t at);

std::size_t carriage_return_at(std::string_view text, std::size_t at) {
  return text[at] == '\r' ? 1 : 0;
}

/// Also the spaces of Unicode (Zs): a no-break space looks like any other, and is written as one.
std::size_t white_space_at(std::string_view text, std::size_t at) {
  const auto [c, length] = utf8_step(text, at);
  const bool is_ascii = c == ' ' || (c >= '\t' && c <= '\r');
  const bool is_other =
      c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x202F || c == 0x205F || c == 0x3000;
  return is_ascii || is_other ? length : 0;
}

std::string without(std::string_view text, LeftOut left_out) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const auto length = left_out(text, at);
    if (length == 0) result += text[at];
    at += std::max(length, std::size_t{1});
  }
  return result;
}

/// The line of the byte in `text` that is the `index`-th in without(text, left_out).
std::size_t line_of(std::string_view text, LeftOut left_out, std::size_t index) {
  std::size_t line = 1;
  for (std::size_t at = 0; at < text.size();) {
    const auto length = left_out(text, at);
    if (length == 0 && index-- == 0) break;
    if (text[at] == '\n') ++line;
    at += std::max(length, std::size_t{1});
  }
  return line;
}

/// "matches with other white space at lines 3-4 and 9"; empty when it doesn't.
std::string match_without(std::string_view content, std::string_view wanted, LeftOut left_out,
                          std::string_view what, const std::stop_token& stop) {
  const auto needle = without(wanted, left_out);
  if (needle.empty() || stop.stop_requested()) return {};
  const auto places = find_apart(without(content, left_out), needle, stop);
  if (places.count == 0) return {};
  std::string where;
  for (std::size_t i = 0; i < places.first.size() && !stop.stop_requested(); ++i) {
    const auto first = line_of(content, left_out, places.first[i]);
    const auto last = line_of(content, left_out, places.first[i] + needle.size() - 1);
    if (i > 0) where += ", ";
    where += first == last ? fmt::format("line {}", first) : fmt::format("lines {}-{}", first, last);
  }
  if (places.count > places.first.size()) where += ", …";
  return fmt::format(
      "old_string was not found; with other {} it matches at {}: read that part again and copy it exactly",
      what, where);
}

/// The text as read shows it, with signs for bytes that can't be shown.
std::string as_shown(std::string_view content, const std::stop_token& stop) {
  constexpr std::size_t kBlock = 1024 * 1024;
  std::string shown;
  while (!content.empty() && !stop.stop_requested()) {
    auto end = std::min(kBlock, content.size());
    while (end < content.size() && is_continuation(content[end])) ++end;  // no character is cut
    shown += show_text(std::string(content.substr(0, end))).text;
    content.remove_prefix(end);
  }
  return shown;
}

bool matches_as_shown(std::string_view content, std::string_view wanted, const std::stop_token& stop) {
  if (!wanted.contains("\uFFFD") && !wanted.contains("\u2400")) return false;
  return find_from(as_shown(content, stop), wanted, 0, stop) != std::string_view::npos;
}

std::string not_found(std::string_view content, std::string_view wanted, const std::stop_token& stop) {
  if (matches_as_shown(content, wanted, stop))
    return "old_string was not found; where read shows \uFFFD or \u2400 the file has other bytes, which "
           "can't be matched: leave them out of old_string";
  if (auto text = match_without(content, wanted, carriage_return_at, "line endings", stop); !text.empty())
    return text;
  if (auto text = match_without(content, wanted, white_space_at, "white space", stop); !text.empty())
    return text;
  return "old_string was not found; read the file again and copy the text exactly";
}

std::string ambiguous(std::string_view content, const Occurrences& places) {
  std::string text = fmt::format(
      "old_string was found {} times; add text around it that only one place has, or set "
      "replace_all. First places:",
      places.count);
  for (const auto start : places.first)
    text += fmt::format("\n{:>6}\t{}", line_at(content, start), show_line_at(content, start));
  return text;
}

std::expected<EditedText, std::string> replace(std::string_view content, std::string_view old_text,
                                               std::string_view new_text, std::size_t count,
                                               std::size_t max_bytes, const std::stop_token& stop) {
  const auto size = content.size() - count * old_text.size() + count * new_text.size();
  if (size > max_bytes) {
    const auto words = size_and_limit_words(size, max_bytes);
    return std::unexpected(fmt::format("it would have {}, over the limit of {}", words.size, words.limit));
  }
  EditedText edited{.content = {}, .count = count, .starts = {}, .length = new_text.size()};
  edited.content.reserve(size);
  std::size_t at = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto start = find_from(content, old_text, at, stop);
    if (start == std::string_view::npos) break;  // asked to stop
    edited.content += content.substr(at, start - at);
    if (edited.starts.size() < kMaxStarts) edited.starts.push_back(edited.content.size());
    edited.content += new_text;
    at = start + old_text.size();
  }
  edited.content += content.substr(at);
  return edited;
}

}  // namespace

std::expected<EditedText, std::string> edit_text(std::string_view content, const Replacement& replacement,
                                                 std::size_t max_bytes, const std::stop_token& stop) {
  std::string old_text(replacement.old_string);
  std::string new_text(replacement.new_string);
  // For one replacement, places that overlap count as two: which one is meant isn't clear.
  const auto find = [&] {
    return replacement.replace_all ? find_apart(content, old_text, stop) : find_all(content, old_text, stop);
  };
  // A lone LF would match within a CRLF.
  bool used_crlf =
      (has_bare_lf(old_text) || has_bare_lf(new_text)) && content.contains('\n') && !has_bare_lf(content);
  if (used_crlf) old_text = with_crlf(old_text);
  auto places = find();
  if (places.count == 0 && has_bare_lf(old_text)) {  // a part of a file with both may have CRLF
    old_text = with_crlf(old_text);
    places = find();
    used_crlf = places.count > 0;
  }
  if (places.count == 0) return std::unexpected(not_found(content, replacement.old_string, stop));
  if (places.count > 1 && !replacement.replace_all) return std::unexpected(ambiguous(content, places));
  const bool writes_crlf = used_crlf && has_bare_lf(new_text);
  if (writes_crlf) new_text = with_crlf(new_text);
  if (old_text == new_text)
    return std::unexpected("the line endings there are CRLF, and nothing else would change");
  auto edited = replace(content, old_text, new_text, places.count, max_bytes, stop);
  if (!edited) return edited;
  edited->found_crlf = used_crlf && old_text != replacement.old_string;
  edited->wrote_crlf = writes_crlf;
  return edited;
}

}  // namespace sandbox_worker::tools
