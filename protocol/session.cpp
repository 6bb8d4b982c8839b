#include "protocol/session.hpp"

#include <nlohmann/json.hpp>

namespace sandbox_worker::protocol {

Result<Session> parse_session(std::string_view text) {
  const auto object = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  if (!object.is_object()) return std::unexpected(DecodeError{"session is not a JSON object"});
  const auto status = object.find("status");
  if (status == object.end() || !status->is_string())
    return std::unexpected(DecodeError{"session without status"});
  return Session{*status == "terminated"};
}

}  // namespace sandbox_worker::protocol
