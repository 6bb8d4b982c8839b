#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "protocol/service_time.hpp"
#include "tests/session_server/result_rules.hpp"
#include "tests/session_server/settings.hpp"

namespace session_server {

enum class CallKind { tool, custom, mcp };

/// A call as the agent makes it.
struct NewCall {
  std::string id{};
  std::string name{};
  Json input = Json::object();
  CallKind kind = CallKind::tool;
  std::optional<std::string> thread{};
  std::optional<std::string> permission{};
};

struct Answer {
  bool is_error = false;
  Json content{};
  Time at{};
};

struct Call {
  NewCall made{};
  Time at{};
  std::vector<Answer> answers{};
  bool answered_elsewhere = false;
  bool answer_lost = false;      // the worker may not know that its answer was stored
  bool thread_was_over = false;  // it came, or was held, when its thread ended: it must not run
};

/// The session: its events in order, and what may still be said about its calls. Pure.
class SessionState {
 public:
  explicit SessionState(const Settings& settings);

  void call(const NewCall& call, Time now);
  void confirm(const std::string& call_id, const std::string& result, Time now);
  void interrupt(const std::optional<std::string>& thread, Time now);
  void end_thread(const std::string& thread, Time now);
  void idle(const std::string& stop_reason, Time now);
  void terminate(Time now, bool deleted = false);
  void answer_elsewhere(const std::string& call_id, const std::string& text, Time now);
  void append(Json event, Time now);  // any other event; id and time are added when missing

  struct Outcome {
    Reply reply{};
    std::string violation{};              // empty: none
    std::vector<std::string> answered{};  // the calls that this post answered
  };

  Outcome post(const std::string& body, Time now);
  Outcome history(const Target& target);
  Reply describe() const;
  void post_answer_lost(const std::vector<std::string>& answered);

  const std::vector<Json>& events() const { return events_; }
  const std::map<std::string, Call>& calls() const { return calls_; }
  const Call* find(const std::string& call_id) const;
  std::optional<Time> terminated() const { return terminated_; }

 private:
  bool held(const Call& call) const;
  std::string refuse(const PostedResult& result, Time now, std::string& violation) const;
  void store(const PostedResult& result, Time now);

  const SessionSettings settings_;
  const std::string session_id_;
  const std::string environment_id_;
  std::string status_;
  std::vector<Json> events_;
  // Of each event. Kept, as a long session is asked for its last moments again and again.
  std::vector<std::optional<sandbox_worker::protocol::ServiceTime>> times_;
  std::map<std::string, Call> calls_;
  std::map<std::string, std::string> verdicts_;
  std::set<std::string> ended_threads_;
  std::set<std::string> page_tokens_;
  std::optional<Time> terminated_;
};

}  // namespace session_server
