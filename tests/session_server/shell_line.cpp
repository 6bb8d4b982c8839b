#include "tests/session_server/shell_line.hpp"

#include <charconv>
#include <optional>

namespace session_server {
namespace {

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

/// Cuts the first word off.
std::string_view word(std::string_view& rest) {
  rest = trimmed(rest);
  const std::string_view first = rest.substr(0, rest.find(' '));
  rest = trimmed(rest.substr(first.size()));
  return first;
}

std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool newline = text[i] == '\\' && i + 1 < text.size() && text[i + 1] == 'n';
    out += newline ? '\n' : text[i];
    if (newline) ++i;
  }
  return out;
}

std::optional<int> number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::expected<NewCall, std::string> parse_shell_line(std::string_view line) {
  std::string_view rest = line;
  NewCall call;
  call.name = word(rest);
  if (rest.starts_with('{')) {
    call.input = Json::parse(rest, nullptr, false);
    if (call.input.is_discarded()) return std::unexpected("that is not JSON");
    return call;
  }
  if (call.name == "bash") {
    call.input = rest.empty() ? Json({{"restart", true}}) : Json({{"command", rest}});
  } else if (call.name == "read") {
    call.input["file_path"] = word(rest);
    const auto first = number(word(rest));
    const auto last = number(word(rest));
    if (first && last) call.input["view_range"] = {*first, *last};
  } else if (call.name == "write") {
    call.input["file_path"] = word(rest);
    call.input["content"] = unescaped(rest);
  } else if (call.name == "edit") {
    call.input["file_path"] = word(rest);
    const auto arrow = rest.find(" => ");
    if (arrow == std::string_view::npos) return std::unexpected("edit FILE OLD => NEW");
    call.input["old_string"] = unescaped(rest.substr(0, arrow));
    call.input["new_string"] = unescaped(rest.substr(arrow + 4));
  } else if (call.name == "glob" || call.name == "grep") {
    call.input["pattern"] = word(rest);
    if (!rest.empty()) call.input["path"] = rest;
  } else {
    return std::unexpected("no such tool; \"help\" shows what can be typed");
  }
  return call;
}

}  // namespace session_server
