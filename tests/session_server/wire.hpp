#pragma once

#include <expected>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace session_server {

using Json = nlohmann::json;
using Headers = std::vector<std::pair<std::string, std::string>>;

/// What a request asks for, as far as faults and counts tell them apart.
enum class RequestKind { session, stream, history, post, heartbeat, stop, skill, memory, other };

std::string_view name_of(RequestKind kind);
std::optional<RequestKind> request_kind(std::string_view name);

struct Request {
  std::string method{};
  std::string target{};
  Headers headers{};
  std::string body{};

  /// The first header of that name, case ignored; null when there is none.
  const std::string* header(std::string_view name) const;
};

/// A target taken apart and percent-decoded.
struct Target {
  std::vector<std::string> path{};
  std::vector<std::pair<std::string, std::string>> query{};

  static std::expected<Target, std::string> parse(std::string_view target);
  const std::string* parameter(std::string_view name) const;
};

struct Reply {
  unsigned status = 200;
  Headers headers{};
  std::string body{};
  bool opens_stream = false;
};

Reply json_reply(unsigned status, const Json& body);

/// The service's error envelope, with the error type that belongs to the status.
Reply error_reply(unsigned status, std::string_view message, const Json& details = nullptr);

bool equal_ignoring_case(std::string_view a, std::string_view b);

/// Base64url without padding, as a work item's secret is written.
std::string base64url(std::string_view bytes);

}  // namespace session_server
