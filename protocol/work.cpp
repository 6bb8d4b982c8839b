#include "protocol/work.hpp"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

namespace sandbox_worker::protocol {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxErrorMessageBytes = 300;
constexpr std::int64_t kMaxTtlSeconds = 1'000'000;

WorkState state_of(std::string_view name) {
  if (name == "queued") return WorkState::queued;
  if (name == "starting") return WorkState::starting;
  if (name == "active") return WorkState::active;
  if (name == "stopping") return WorkState::stopping;
  if (name == "stopped") return WorkState::stopped;
  return WorkState::unknown;
}

/// The one place where bytes of a peer become a small JSON object; null for anything else.
json parse_object(std::string_view text) {
  auto value = json::parse(text.begin(), text.end(), nullptr, false);
  return value.is_object() ? value : json();
}

std::string string_at(const json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && found != object.end() && found->is_string() ? found->get<std::string>()
                                                                           : std::string();
}

const json* child(const json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

LeaseState lease_state_of(const json& object) {
  LeaseState lease;
  lease.last_heartbeat = string_at(object, "last_heartbeat");
  lease.state = state_of(string_at(object, "state"));
  if (const auto* ttl = child(object, "ttl_seconds"); ttl && ttl->is_number()) {
    const double seconds = ttl->get<double>();
    if (seconds > 0)
      lease.ttl = std::chrono::seconds(
          static_cast<std::int64_t>(std::min(std::max(seconds, 1.0), static_cast<double>(kMaxTtlSeconds))));
  }
  return lease;
}

std::string one_line(std::string text) {
  if (text.size() > kMaxErrorMessageBytes) text.resize(kMaxErrorMessageBytes);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return text;
}

}  // namespace

Result<HeartbeatReply> parse_heartbeat_reply(std::string_view text) {
  const auto object = parse_object(text);
  const auto* extended = child(object, "lease_extended");
  const auto* last = child(object, "last_heartbeat");
  if (!extended || !extended->is_boolean())
    return std::unexpected(DecodeError{"heartbeat answer without lease_extended"});
  if (*extended && (!last || !last->is_string())) {
    return std::unexpected(DecodeError{"heartbeat answer without last_heartbeat"});
  }
  HeartbeatReply reply;
  reply.lease = lease_state_of(object);
  reply.lease_extended = extended->get<bool>();
  return reply;
}

ServiceError parse_service_error(std::string_view body) {
  ServiceError result;
  const auto object = parse_object(body);
  const auto* error = child(object, "error");
  if (!error) return result;
  result.type = one_line(string_at(*error, "type"));
  result.message = one_line(string_at(*error, "message"));
  const auto* details = child(*error, "details");
  const auto* current = details ? child(*details, "current_state") : nullptr;
  if (current && current->is_object()) result.lease_state = lease_state_of(*current);
  return result;
}

Result<WorkSecret> parse_work_secret(std::string_view text) {
  const auto object = parse_object(text);
  if (!object.is_object()) return std::unexpected(DecodeError{"not a JSON object"});
  WorkSecret secret;
  secret.sessions_token = string_at(object, "sessions_token");
  secret.api_base_url = string_at(object, "api_base_url");
  if (secret.sessions_token.empty()) return std::unexpected(DecodeError{"no sessions_token in it"});
  return secret;
}

}  // namespace sandbox_worker::protocol
