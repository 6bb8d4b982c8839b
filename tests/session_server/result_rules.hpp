#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "tests/session_server/wire.hpp"

namespace session_server {

/// One result that a worker posted, its form already checked.
struct PostedResult {
  bool custom = false;
  std::string call_id{};
  bool is_error = false;
  Json content{};
};

/// Takes the body of a post apart; the error says what the service would refuse.
std::expected<std::vector<PostedResult>, std::string> parse_results(std::string_view body);

/// All text of a result's content, blocks joined without a separator.
std::string text_of(const Json& content);

}  // namespace session_server
