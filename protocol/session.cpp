#include "protocol/session.hpp"

#include <nlohmann/json.hpp>

namespace sandbox_worker::protocol {

Result<Session> parse_session(std::string_view text) {
  using nlohmann::json;
  // Of the agent, with its texts and tools, nothing is kept.
  const auto only_top = [](int depth, json::parse_event_t event, json&) {
    return depth == 0 ||
           (event != json::parse_event_t::object_start && event != json::parse_event_t::array_start);
  };
  const auto object = json::parse(text.begin(), text.end(), only_top, false);
  if (!object.is_object()) return std::unexpected(DecodeError{"session is not a JSON object"});
  const auto status = object.find("status");
  if (status == object.end() || !status->is_string())
    return std::unexpected(DecodeError{"session without status"});
  return Session{*status == "terminated"};
}

}  // namespace sandbox_worker::protocol
