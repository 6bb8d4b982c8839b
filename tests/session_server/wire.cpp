#include "tests/session_server/wire.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>

namespace session_server {
namespace {

constexpr std::array<std::string_view, 9> kKindNames = {"session", "stream", "history", "post", "heartbeat",
                                                        "stop",    "skill",  "memory",  "other"};

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// In a query "+" is a space, as in a form; a client that leaves a plus sign unencoded is found out by it.
std::expected<std::string, std::string> percent_decode(std::string_view text, bool in_query) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && in_query) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
      if (high < 0 || low < 0) return std::unexpected("a broken percent escape in " + std::string(text));
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return out;
}

std::string_view error_type(unsigned status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 409:
      return "conflict_error";
    case 412:
      return "precondition_failed_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 504:
      return "timeout_error";
    case 529:
      return "overloaded_error";
    default:
      return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::string_view name_of(RequestKind kind) {
  return kKindNames[static_cast<std::size_t>(kind)];
}

std::optional<RequestKind> request_kind(std::string_view name) {
  const auto found = std::ranges::find(kKindNames, name);
  if (found == kKindNames.end()) return std::nullopt;
  return static_cast<RequestKind>(found - kKindNames.begin());
}

const std::string* Request::header(std::string_view name) const {
  const auto found =
      std::ranges::find_if(headers, [&](auto& h) { return equal_ignoring_case(h.first, name); });
  return found == headers.end() ? nullptr : &found->second;
}

std::expected<Target, std::string> Target::parse(std::string_view target) {
  Target parsed;
  const auto mark = target.find('?');
  std::string_view path = target.substr(0, mark);
  if (!path.starts_with('/')) return std::unexpected("a target that does not begin with a slash");
  path.remove_prefix(1);
  while (true) {
    const auto slash = path.find('/');
    auto segment = percent_decode(path.substr(0, slash), false);
    if (!segment) return std::unexpected(segment.error());
    parsed.path.push_back(*segment);
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  std::string_view query = mark == std::string_view::npos ? std::string_view{} : target.substr(mark + 1);
  while (!query.empty()) {
    const auto end = query.find('&');
    const std::string_view item = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view{} : query.substr(end + 1);
    const auto equals = item.find('=');
    auto key = percent_decode(item.substr(0, equals), true);
    auto value =
        percent_decode(equals == std::string_view::npos ? std::string_view{} : item.substr(equals + 1), true);
    if (!key) return std::unexpected(key.error());
    if (!value) return std::unexpected(value.error());
    parsed.query.emplace_back(*key, *value);
  }
  return parsed;
}

const std::string* Target::parameter(std::string_view name) const {
  const auto found = std::ranges::find_if(query, [&](auto& q) { return q.first == name; });
  return found == query.end() ? nullptr : &found->second;
}

Reply json_reply(unsigned status, const Json& body) {
  return {.status = status,
          .headers = {{"content-type", "application/json"}},
          .body = body.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

Reply error_reply(unsigned status, std::string_view message, const Json& details) {
  Json error = {{"type", error_type(status)}, {"message", message}};
  if (!details.is_null()) error["details"] = details;
  return json_reply(status, {{"type", "error"}, {"error", error}});
}

std::string base64url(std::string_view bytes) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : bytes) {
    bits = (bits << 8U) | static_cast<unsigned char>(c);
    count += 8;
    while (count >= 6) {
      count -= 6;
      out += alphabet[(bits >> static_cast<unsigned>(count)) & 63U];
    }
  }
  if (count > 0) out += alphabet[(bits << static_cast<unsigned>(6 - count)) & 63U];
  return out;
}

}  // namespace session_server
