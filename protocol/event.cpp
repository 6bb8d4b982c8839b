#include "protocol/event.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "protocol/json_repair.hpp"

namespace sandbox_worker::protocol {
namespace {

using nlohmann::json;

/// What any event may say, gathered in one pass, since "type" may come last.
struct Fields {
  std::optional<std::string> type, id, name, thread, tool_use_id, custom_tool_use_id, result, stop_reason,
      permission, processed_at;
  bool unknown_permission = false;  // there, but neither a string nor null
  std::optional<json> input;
  bool input_too_deep = false;
};

/// Builds the value of "input" without recursion, up to kMaxInputDepth levels.
class InputBuilder {
 public:
  void scalar(json value) { place(std::move(value)); }
  void key(std::string& key) {
    if (!skipping()) key_ = std::move(key);
  }
  void open(json container) {
    ++depth_;
    if (depth_ > kMaxInputDepth) too_deep_ = true;
    if (skipping()) return;
    stack_.push_back(place(std::move(container)));
  }
  /// True when this closed the value itself.
  bool close() {
    if (!skipping()) stack_.pop_back();
    return --depth_ == 0;
  }
  bool too_deep() const { return too_deep_; }
  json take() { return std::move(root_); }

 private:
  bool skipping() const { return too_deep_; }
  json* place(json value) {
    if (skipping()) return nullptr;
    if (stack_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    json& parent = *stack_.back();
    if (parent.is_array()) return &parent.get_ref<json::array_t&>().emplace_back(std::move(value));
    return &(parent.get_ref<json::object_t&>()[std::exchange(key_, {})] = std::move(value));
  }

  json root_;
  std::vector<json*> stack_;
  std::string key_;
  int depth_ = 0;
  bool too_deep_ = false;
};

/// The SAX interface of nlohmann/json; keeps the fields above and lets everything else pass.
class EventReader {
 public:
  Fields take() { return std::move(fields_); }
  const std::string& error() const { return error_; }

  bool null() { return scalar(json(nullptr), nullptr); }
  bool boolean(bool value) { return scalar(json(value), nullptr); }
  bool number_integer(std::int64_t value) { return scalar(json(value), nullptr); }
  bool number_unsigned(std::uint64_t value) { return scalar(json(value), nullptr); }
  bool number_float(double value, const std::string&) { return scalar(json(value), nullptr); }
  bool string(std::string& value) {
    if (input_) return scalar(json(std::move(value)), nullptr);
    return scalar(json(), &value);
  }
  bool binary(json::binary_t&) { return false; }

  bool key(std::string& name) {
    if (input_) {
      input_->key(name);
    } else if (depth_ == 1) {
      key_ = std::move(name);
    } else if (depth_ == 2 && key_ == "stop_reason") {
      inner_key_ = std::move(name);
    }
    return true;
  }
  bool start_object(std::size_t) { return open(json::object()); }
  bool start_array(std::size_t) { return open(json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool parse_error(std::size_t position, const std::string&, const json::exception&) {
    error_ = fmt::format("invalid JSON at byte {}", position);
    return false;
  }

 private:
  bool scalar(json value, std::string* text) {
    if (depth_ == 0) return fail("not a JSON object");
    if (input_) {
      input_->scalar(std::move(value));
    } else if (depth_ == 1 && key_ == "input") {
      fields_.input = text ? json(std::move(*text)) : std::move(value);
    } else if (depth_ == 1 && key_ == "evaluated_permission" && !text) {
      fields_.unknown_permission = !value.is_null();
    } else if (text) {
      if (auto* field = target()) *field = std::move(*text);
    }
    return true;
  }

  bool open(json container) {
    if (depth_ == 0 && !container.is_object()) return fail("not a JSON object");
    if (depth_ == 1 && key_ == "input") input_.emplace();
    if (depth_ == 1 && key_ == "evaluated_permission") fields_.unknown_permission = true;
    if (depth_ == 1) inner_key_.clear();
    if (input_) input_->open(std::move(container));
    ++depth_;
    return true;
  }

  bool close() {
    --depth_;
    if (input_ && input_->close()) {
      fields_.input_too_deep = input_->too_deep();
      if (!fields_.input_too_deep) fields_.input = input_->take();
      input_.reset();
    }
    return true;
  }

  std::optional<std::string>* target() {
    if (depth_ == 2) return key_ == "stop_reason" && inner_key_ == "type" ? &fields_.stop_reason : nullptr;
    if (depth_ != 1) return nullptr;
    if (key_ == "type") return &fields_.type;
    if (key_ == "id") return &fields_.id;
    if (key_ == "name") return &fields_.name;
    if (key_ == "session_thread_id") return &fields_.thread;
    if (key_ == "tool_use_id") return &fields_.tool_use_id;
    if (key_ == "custom_tool_use_id") return &fields_.custom_tool_use_id;
    if (key_ == "result") return &fields_.result;
    if (key_ == "evaluated_permission") return &fields_.permission;
    if (key_ == "processed_at") return &fields_.processed_at;
    return nullptr;
  }

  bool fail(const char* why) {
    error_ = why;
    return false;
  }

  Fields fields_;
  std::optional<InputBuilder> input_;  // while inside "input"
  std::string key_;
  std::string inner_key_;
  std::size_t depth_ = 0;
  std::string error_;
};

Result<std::string> required_id(std::optional<std::string>& value, std::string_view what) {
  if (!value || value->empty()) return std::unexpected(DecodeError{fmt::format("{} is missing", what)});
  if (value->size() > kMaxIdBytes) return std::unexpected(DecodeError{fmt::format("{} is too long", what)});
  return std::move(*value);
}

template <class Make>
Result<Event> with_id(std::optional<std::string>& field, std::string_view what, Make make) {
  auto id = required_id(field, what);
  if (!id) return std::unexpected(id.error());
  return make(std::move(*id));
}

/// Of an event that is known again by it; without one it is a new event each time.
std::string event_id(Fields& fields) {
  std::string id = std::move(fields.id).value_or("");
  if (id.size() > kMaxIdBytes) id.clear();
  return id;
}

Permission permission_of(const Fields& fields) {
  if (fields.unknown_permission) return Permission::ask;
  if (!fields.permission || *fields.permission == "allow") return Permission::allow;
  return *fields.permission == "deny" ? Permission::deny : Permission::ask;
}

Result<Event> tool_use(Fields& fields, bool custom) {
  ToolUse use;
  auto id = required_id(fields.id, "id");
  if (!id) return std::unexpected(id.error());
  auto name = required_id(fields.name, "name");
  if (!name) return std::unexpected(name.error());
  use.id = std::move(*id);
  use.name = std::move(*name);
  use.custom = custom;
  use.thread = std::move(fields.thread).value_or("");
  if (use.thread.size() > kMaxIdBytes) return std::unexpected(DecodeError{"session_thread_id is too long"});
  // wire.md#permission: custom tools carry none.
  use.permission = custom ? Permission::allow : permission_of(fields);
  if (fields.input_too_deep) {
    use.fault = "is nested too deeply";
  } else {
    use.input = std::move(fields.input).value_or(json::object());
  }
  return use;
}

Result<Event> event_of(Fields& fields) {
  if (!fields.type) return std::unexpected(DecodeError{"type is missing"});
  const std::string& type = *fields.type;
  if (type == "agent.tool_use") return tool_use(fields, false);
  if (type == "agent.custom_tool_use") return tool_use(fields, true);
  if (type == "user.tool_confirmation") {
    const bool allow = fields.result == "allow";
    return with_id(fields.tool_use_id, "tool_use_id",
                   [&](std::string id) { return Confirmation{std::move(id), allow, event_id(fields)}; });
  }
  if (type == "user.tool_result" || type == "user.custom_tool_result") {
    auto& field = type == "user.tool_result" ? fields.tool_use_id : fields.custom_tool_use_id;
    return with_id(field, "tool_use_id", [](std::string id) { return ToolAnswered{std::move(id)}; });
  }
  if (type == "user.interrupt") return Interrupt{std::move(fields.thread), event_id(fields)};
  if (type == "session.status_idle") {
    return StatusIdle{event_id(fields), fields.stop_reason == "requires_action"};
  }
  if (type == "session.thread_status_terminated") {
    return with_id(fields.thread, "session_thread_id",
                   [](std::string id) { return ThreadTerminated{std::move(id)}; });
  }
  if (type == "session.status_terminated") return SessionEnded{false};
  if (type == "session.deleted") return SessionEnded{true};
  return OtherEvent{type.substr(0, kMaxIdBytes)};
}

Result<Fields> read_fields(std::string_view text) {
  EventReader reader;
  try {
    if (!json::sax_parse(text.begin(), text.end(), &reader))
      return std::unexpected(DecodeError{reader.error()});
  } catch (const json::exception&) {
    return std::unexpected(DecodeError{"JSON that can't be read"});
  }
  return reader.take();
}

}  // namespace

Result<TimedEvent> parse_event(std::string_view text) {
  auto fields = read_fields(text);
  const char* fault = nullptr;
  if (!fields) {
    // A call whose input can't be read must be answered all the same, or the session waits for ever.
    const auto repaired = repair_json(text);
    fault = repaired.fault;
    if (fault) fields = read_fields(repaired.text);
  }
  if (!fields) return std::unexpected(fields.error());
  const auto at = fields->processed_at ? parse_service_time(*fields->processed_at) : std::nullopt;
  auto event = event_of(*fields);
  if (!event) return std::unexpected(event.error());
  if (auto* use = std::get_if<ToolUse>(&*event)) {
    use->bytes = text.size();
    if (fault) use->input.reset();
    if (fault) use->fault = std::string("has ") + fault;
  }
  return TimedEvent{std::move(*event), at};
}

}  // namespace sandbox_worker::protocol
