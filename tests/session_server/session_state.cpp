#include "tests/session_server/session_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "protocol/service_time.hpp"

namespace session_server {
namespace {

/// A worker can't know of an event that is still on its way to it.
constexpr auto kInFlight = std::chrono::seconds(1);

std::string_view event_type(CallKind kind) {
  switch (kind) {
    case CallKind::custom:
      return "agent.custom_tool_use";
    case CallKind::mcp:
      return "agent.mcp_tool_use";
    case CallKind::tool:
      break;
  }
  return "agent.tool_use";
}

std::optional<std::size_t> number(std::string_view text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

using sandbox_worker::protocol::parse_service_time;
using sandbox_worker::protocol::ServiceTime;

/// What was not processed yet has no time.
std::optional<ServiceTime> time_of(const Json& event) {
  const auto processed = event.find("processed_at");
  if (processed == event.end() || !processed->is_string()) return std::nullopt;
  return parse_service_time(processed->get<std::string>());
}

/// Without a time, an event is in no span of it.
bool within(std::optional<ServiceTime> at, std::string_view comparison, ServiceTime bound) {
  if (!at) return false;
  if (comparison == "created_at[gt]") return at > bound;
  if (comparison == "created_at[gte]") return at >= bound;
  if (comparison == "created_at[lt]") return at < bound;
  return at <= bound;
}

}  // namespace

SessionState::SessionState(const Settings& settings)
    : settings_(settings.session),
      session_id_(settings.session_id),
      environment_id_(settings.environment_id),
      status_(settings.session.status) {}

const Call* SessionState::find(const std::string& call_id) const {
  const auto found = calls_.find(call_id);
  return found == calls_.end() ? nullptr : &found->second;
}

void SessionState::append(Json event, Time now) {
  if (!event.contains("id")) event["id"] = fmt::format("sevt_{:06}", events_.size());
  if (!event.contains("processed_at")) event["processed_at"] = timestamp(now);
  times_.push_back(time_of(event));
  events_.push_back(std::move(event));
}

void SessionState::call(const NewCall& call, Time now) {
  Json event = {{"type", event_type(call.kind)}, {"id", call.id}, {"name", call.name}, {"input", call.input}};
  if (call.permission) event["evaluated_permission"] = *call.permission;
  if (call.thread) event["session_thread_id"] = *call.thread;
  calls_[call.id] = {.made = call,
                     .at = now,
                     .answers = {},
                     .thread_was_over = call.thread && ended_threads_.contains(*call.thread)};
  status_ = "running";
  append(std::move(event), now);
}

void SessionState::confirm(const std::string& call_id, const std::string& result, Time now) {
  verdicts_[call_id] = result;
  append({{"type", "user.tool_confirmation"}, {"tool_use_id", call_id}, {"result", result}}, now);
}

void SessionState::interrupt(const std::optional<std::string>& thread, Time now) {
  Json event = {{"type", "user.interrupt"}};
  if (thread) event["session_thread_id"] = *thread;
  append(std::move(event), now);
}

bool SessionState::held(const Call& call) const {
  const auto& permission = call.made.permission;
  if (!permission || *permission == "allow") return false;
  const auto verdict = verdicts_.find(call.made.id);
  return *permission == "deny" || verdict == verdicts_.end() || verdict->second != "allow";
}

void SessionState::end_thread(const std::string& thread, Time now) {
  ended_threads_.insert(thread);
  for (auto& [id, call] : calls_) {
    if (call.made.thread == thread && held(call)) call.thread_was_over = true;
  }
  append({{"type", "session.thread_status_terminated"}, {"session_thread_id", thread}}, now);
}

void SessionState::idle(const std::string& stop_reason, Time now) {
  status_ = "idle";
  Json reason = {{"type", stop_reason}};
  if (stop_reason == "requires_action") {
    reason["event_ids"] = Json::array();
    for (auto& [id, call] : calls_) {
      if (call.answers.empty()) reason["event_ids"].push_back(id);
    }
  }
  append({{"type", "session.status_idle"}, {"stop_reason", reason}}, now);
}

void SessionState::terminate(Time now, bool deleted) {
  status_ = "terminated";
  terminated_ = now;
  append({{"type", deleted ? "session.deleted" : "session.status_terminated"}}, now);
}

void SessionState::answer_elsewhere(const std::string& call_id, const std::string& text, Time now) {
  const auto found = calls_.find(call_id);
  const bool custom = found != calls_.end() && found->second.made.kind == CallKind::custom;
  PostedResult result;
  result.custom = custom;
  result.call_id = call_id;
  result.content = Json::array({{{"type", "text"}, {"text", text}}});
  if (found != calls_.end()) found->second.answered_elsewhere = true;
  store(result, now);
}

void SessionState::store(const PostedResult& result, Time now) {
  if (const auto found = calls_.find(result.call_id); found != calls_.end()) {
    found->second.answers.push_back({.is_error = result.is_error, .content = result.content, .at = now});
  }
  append({{"type", result.custom ? "user.custom_tool_result" : "user.tool_result"},
          {result.custom ? "custom_tool_use_id" : "tool_use_id", result.call_id},
          {"is_error", result.is_error},
          {"content", result.content}},
         now);
}

/// Why the service takes no such result now, or nothing. `violation` says when the worker should have known.
std::string SessionState::refuse(const PostedResult& result, Time now, std::string& violation) const {
  const auto wrong = [&](std::string why) {
    violation = why;
    return why;
  };
  const Call* call = find(result.call_id);
  if (call == nullptr) return wrong("there is no call " + result.call_id);
  const std::string about = fmt::format("call {} ({})", result.call_id, call->made.name);
  if (call->made.kind == CallKind::mcp) return wrong(about + " is an MCP call, the service answers it");
  if (result.custom != (call->made.kind == CallKind::custom))
    return wrong(about + " got the wrong type of result");
  if (std::ranges::find(settings_.tools, call->made.name) == settings_.tools.end()) {
    return wrong(about + " is not a tool of this worker");
  }
  if (call->thread_was_over) return wrong(about + " belongs to a thread that had ended");
  if (held(*call)) return wrong(about + " was not allowed to run");
  if (!call->answers.empty() && !settings_.accept_duplicates) {
    const std::string why = about + " has been answered already";
    const bool excused =
        call->answer_lost || (call->answered_elsewhere && now - call->answers.front().at < kInFlight);
    return excused ? why : wrong(why);
  }
  if (call->made.thread && ended_threads_.contains(*call->made.thread))
    return about + " belongs to an ended thread";
  if (terminated_) {
    const std::string why = about + ": the session has terminated";
    return now - *terminated_ < kInFlight ? why : wrong(why);
  }
  return {};
}

SessionState::Outcome SessionState::post(const std::string& body, Time now) {
  Outcome outcome;
  auto results = parse_results(body);
  if (!results) {
    outcome.violation = "post: " + results.error();
    outcome.reply = error_reply(400, results.error());
    return outcome;
  }
  // One bad result refuses the whole request; nothing of it is stored.
  for (auto& result : *results) {
    const std::string refusal = refuse(result, now, outcome.violation);
    if (refusal.empty()) continue;
    if (!outcome.violation.empty()) outcome.violation = "post: " + outcome.violation;
    outcome.reply = error_reply(400, refusal);
    return outcome;
  }
  Json stored = Json::array();
  for (auto& result : *results) {
    store(result, now);
    stored.push_back(events_.back());
    outcome.answered.push_back(result.call_id);
  }
  outcome.reply = json_reply(200, {{"data", stored}});
  return outcome;
}

void SessionState::post_answer_lost(const std::vector<std::string>& answered) {
  for (auto& id : answered) {
    if (const auto found = calls_.find(id); found != calls_.end()) found->second.answer_lost = true;
  }
}

SessionState::Outcome SessionState::history(const Target& target) {
  Outcome outcome;
  const auto refuse_with = [&](std::string why) {
    outcome.violation = "history: " + why;
    outcome.reply = error_reply(400, why);
    return outcome;
  };
  std::size_t limit = 100;
  std::size_t start = 0;
  unsigned empty_left = settings_.empty_pages;
  bool descending = false;
  std::vector<std::string> types;
  std::vector<std::pair<std::string, ServiceTime>> bounds;
  for (auto& [key, value] : target.query) {
    if (key == "limit") {
      const auto parsed = number(value);
      if (!parsed || *parsed < 1 || *parsed > 1000)
        return refuse_with("limit must be 1 to 1000, not " + value);
      limit = *parsed;
    } else if (key == "page") {
      if (!page_tokens_.contains(value)) return refuse_with("page was not given out: " + value);
      const auto dot = value.find('.');
      start = number(std::string_view(value).substr(5, dot - 5)).value_or(0);
      empty_left = static_cast<unsigned>(number(std::string_view(value).substr(dot + 1)).value_or(0));
    } else if (key == "order") {
      if (value != "asc" && value != "desc") return refuse_with("order must be asc or desc");
      descending = value == "desc";
    } else if (key == "types" || key == "types[]") {
      types.push_back(value);
    } else if (key == "created_at[gt]" || key == "created_at[gte]" || key == "created_at[lt]" ||
               key == "created_at[lte]") {
      const auto bound = parse_service_time(value);
      if (!bound) return refuse_with(key + " must be a time of RFC 3339, not " + value);
      bounds.emplace_back(key, *bound);
    } else if (key != "beta") {
      return refuse_with("unknown parameter " + key);
    }
  }
  std::vector<const Json*> selected;
  for (std::size_t i = 0; i < events_.size(); ++i) {
    const Json& event = events_[i];
    const bool typed = types.empty() || std::ranges::find(types, event.value("type", "")) != types.end();
    if (typed && std::ranges::all_of(bounds, [&](auto& b) { return within(times_[i], b.first, b.second); })) {
      selected.push_back(&event);
    }
  }
  if (descending) std::ranges::reverse(selected);
  const std::size_t count = empty_left > 0 ? 0 : std::min(limit, settings_.page_size);
  const std::size_t end = std::min(selected.size(), start + count);
  Json data = Json::array();
  for (std::size_t i = start; i < end; ++i) data.push_back(*selected[i]);
  Json next = nullptr;
  if (end < selected.size() || empty_left > 0) {
    const std::string token = fmt::format("page+{}.{}", end, empty_left > 0 ? empty_left - 1 : 0);
    page_tokens_.insert(token);
    next = token;
  }
  outcome.reply = json_reply(200, {{"data", data}, {"next_page", next}});
  return outcome;
}

Reply SessionState::describe() const {
  Json agent = {{"type", "agent"},         {"id", "agent_01Test"},
                {"name", "test agent"},    {"version", 1},
                {"skills", Json::array()}, {"tools", Json::array({{{"type", "agent_toolset_20260401"}}})}};
  agent.update(settings_.agent);
  return json_reply(200, {{"id", session_id_},
                          {"type", "session"},
                          {"status", status_},
                          {"environment_id", environment_id_},
                          {"agent", agent},
                          {"resources", settings_.resources},
                          {"metadata", Json::object()},
                          {"title", nullptr}});
}

}  // namespace session_server
