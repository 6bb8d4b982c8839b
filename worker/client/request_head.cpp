#include "worker/client/request_head.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "worker/client/error_text.hpp"
#include "worker/client/header_name.hpp"

namespace sandbox_worker::worker {

namespace {

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](unsigned char c) {
    return std::isalnum(c) != 0 || kMarks.contains(static_cast<char>(c));
  });
}

bool is_field_value(std::string_view text) {
  return std::ranges::none_of(text, [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7f; });
}

bool is_target(std::string_view text) {
  return text.starts_with('/') &&
         std::ranges::all_of(text, [](unsigned char c) { return c > ' ' && c < 0x7f; });
}

std::string authority(const BaseUrl& base) {
  const std::uint16_t usual = base.tls ? 443 : 80;
  if (base.port != usual) return host_port(base.host, base.port);
  return base.host.contains(':') ? fmt::format("[{}]", base.host) : base.host;
}

bool has(const Headers& headers, std::string_view name) {
  return std::ranges::any_of(headers, [&](const auto& each) { return same_header_name(each.first, name); });
}

/// What belongs to the connection, or frames the message, is ours alone to say.
bool is_ours(std::string_view name) {
  constexpr std::string_view kOurs[] = {"host", "connection", "content-length", "transfer-encoding"};
  return std::ranges::any_of(kOurs, [&](std::string_view each) { return same_header_name(name, each); });
}

std::expected<void, std::string> append(std::string& head, const Headers& headers, const Headers& unless) {
  for (const auto& [name, value] : headers) {
    if (is_ours(name) || has(unless, name)) continue;
    if (!is_token(name)) return std::unexpected(fmt::format("'{}' is not a header name", one_line(name)));
    if (!is_field_value(value)) {
      return std::unexpected(fmt::format("the value of header {} has a control character", name));
    }
    head += fmt::format("{}: {}\r\n", name, value);
  }
  return {};
}

}  // namespace

std::expected<std::string, std::string> request_head(const BaseUrl& base, const Headers& defaults,
                                                     const protocol::Request& request,
                                                     const Proxy* forward_proxy) {
  if (!is_token(request.method)) return std::unexpected("the method is not a word");
  const std::string target = base.prefix + request.target;
  if (!is_target(target)) return std::unexpected("the target is not an encoded path");

  const std::string origin = forward_proxy ? "http://" + authority(base) : "";
  std::string head =
      fmt::format("{} {}{} HTTP/1.1\r\nHost: {}\r\n", request.method, origin, target, authority(base));
  if (auto added = append(head, defaults, request.headers); !added) return std::unexpected(added.error());
  if (auto added = append(head, request.headers, {}); !added) return std::unexpected(added.error());
  if (forward_proxy && !forward_proxy->authorization.empty()) {
    head += fmt::format("Proxy-Authorization: {}\r\n", forward_proxy->authorization);
  }
  if (!request.body.empty() && !has(request.headers, "content-type") && !has(defaults, "content-type")) {
    head += "Content-Type: application/json\r\n";
  }
  const bool usually_has_body =
      request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  if (usually_has_body || !request.body.empty()) {
    head += fmt::format("Content-Length: {}\r\n", request.body.size());
  }
  return head + "\r\n";
}

}  // namespace sandbox_worker::worker
