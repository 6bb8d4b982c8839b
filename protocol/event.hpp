#pragma once

#include <cstddef>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "protocol/result.hpp"
#include "protocol/service_time.hpp"

namespace sandbox_worker::protocol {

/// Larger ids are malformed: ids are remembered for the whole session.
inline constexpr std::size_t kMaxIdBytes = 512;

/// Levels of arrays and objects in a call's input. Deeper input is refused, as the tools have no use for it
/// and a JSON library's recursion does.
inline constexpr int kMaxInputDepth = 64;

enum class Permission { allow, ask, deny };

// wire.md#events. Thread ids are empty for the session's main thread.

/// Where a call's input is kept while the call waits for its turn. What there is to know of it is its
/// owner's.
class KeptInput {
 public:
  KeptInput() = default;
  KeptInput(const KeptInput&) = delete;
  KeptInput& operator=(const KeptInput&) = delete;
  virtual ~KeptInput() = default;
};

/// agent.tool_use, or agent.custom_tool_use when `custom`.
struct ToolUse {
  std::string id;
  std::string name;
  std::optional<nlohmann::json> input;  // nothing: there is a fault in it, or it is kept elsewhere
  std::string fault{};                  // why the call can't be run, as in "the input …"
  std::shared_ptr<KeptInput> kept{};    // by whoever took the input in; nothing as it is decoded
  Permission permission = Permission::allow;
  std::string thread;
  bool custom = false;
  std::size_t bytes = 0;  // of the event's text
};

struct Confirmation {
  std::string tool_use_id;
  bool allow = false;
  std::string id{};  // of the event
};

/// user.tool_result or user.custom_tool_result, ours or another client's.
struct ToolAnswered {
  std::string tool_use_id;
};

struct Interrupt {
  std::optional<std::string> thread;  // nothing: all threads
  std::string id{};                   // of the event
};

struct StatusIdle {
  std::string id;  // of the event, to know it again after a reconnect
  bool requires_action = false;
};

struct ThreadTerminated {
  std::string thread;
};

/// session.status_terminated or session.deleted.
struct SessionEnded {
  bool deleted = false;
};

/// Any other type, known or not.
struct OtherEvent {
  std::string type;
};

using Event = std::variant<OtherEvent, ToolUse, Confirmation, ToolAnswered, Interrupt, StatusIdle,
                           ThreadTerminated, SessionEnded>;

/// `at`: when the service processed it; nothing when it doesn't say so (yet), or not in a form that we know.
struct TimedEvent {
  Event event;
  std::optional<ServiceTime> at;
};

/// One event out of its JSON text. Never throws on any bytes; nesting costs no stack.
Result<TimedEvent> parse_event(std::string_view json);

}  // namespace sandbox_worker::protocol
