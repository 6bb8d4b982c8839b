#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/result.hpp"

namespace sandbox_worker::protocol {

// wire.md#work. A state that isn't known is not an end: the service may grow new ones.
enum class WorkState { unknown, queued, starting, active, stopping, stopped };

inline bool is_ending(WorkState state) {
  return state == WorkState::stopping || state == WorkState::stopped;
}

struct LeaseState {
  std::string last_heartbeat;  // echoed byte for byte; may be empty
  WorkState state = WorkState::unknown;
  std::chrono::seconds ttl{0};  // 0: not said
};

struct HeartbeatReply {
  LeaseState lease;
  bool lease_extended = false;
};

Result<HeartbeatReply> parse_heartbeat_reply(std::string_view json);

/// What a service error says, for logs and decisions; empty fields where it says nothing.
struct ServiceError {
  std::string type;
  std::string message;                    // one line, at most 300 bytes, no control characters
  std::optional<LeaseState> lease_state;  // error.details.current_state
};
ServiceError parse_service_error(std::string_view body);

/// What ANTHROPIC_WORK_SECRET holds, once its base64 is taken off.
struct WorkSecret {
  std::string sessions_token;  // never empty
  std::string api_base_url;    // empty: not said
};
/// The error never holds any part of the secret.
Result<WorkSecret> parse_work_secret(std::string_view json);

}  // namespace sandbox_worker::protocol
