#include "worker/custom_headers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "worker/trim.hpp"

namespace sandbox_worker::worker {
namespace {

constexpr std::string_view kReserved[] = {
    // The connection's and the message's, which the client frames itself.
    "host", "connection", "content-length", "transfer-encoding", "expect", "te", "upgrade",
    "proxy-authorization",
    // Answers are taken as they come: none is unpacked.
    "accept-encoding",
    // The protocol's.
    "accept", "content-type", "user-agent", "authorization", "x-api-key", "anthropic-beta",
    "anthropic-version"};

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](unsigned char c) {
    return std::isalnum(c) || kMarks.contains(static_cast<char>(c));
  });
}

bool is_field_value(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
}

}  // namespace

Headers custom_headers(std::string_view text, std::vector<std::string>& warnings) {
  Headers headers;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = trim(text.substr(begin, end - begin));
    begin = end + 1;
    if (line.empty()) continue;
    const auto colon = line.find(':');
    const auto value = colon == std::string_view::npos ? std::string_view() : trim(line.substr(colon + 1));
    std::string name(line.substr(0, colon));
    std::ranges::transform(name, name.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (colon == std::string_view::npos || !is_token(name) || !is_field_value(value)) {
      warnings.emplace_back("ANTHROPIC_CUSTOM_HEADERS: a line that is not 'Name: value' is ignored");
    } else if (std::ranges::find(kReserved, name) != std::end(kReserved)) {
      warnings.push_back(fmt::format("ANTHROPIC_CUSTOM_HEADERS: {} is the worker's own; ignored", name));
    } else {
      headers.emplace_back(std::move(name), std::string(value));
    }
  }
  return headers;
}

}  // namespace sandbox_worker::worker
