#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "protocol/event.hpp"

namespace sandbox_worker::tests {

/// A session as it really is: what happened in which order, and which of it a worker has heard, by whatever
/// way. Everything is answered by looking through all of it again, so that there is little to get wrong.
class SimulatedSession {
 public:
  using Index = std::size_t;

  struct Fact {
    protocol::Event event;
    std::optional<protocol::ServiceTime> at;
    bool heard = false;
  };
  struct Call {
    protocol::ToolUse use;
    bool ours = true;
    std::optional<Index> fact;  // nothing: so far only a confirmation speaks of it
  };

  std::vector<Fact> facts;
  std::vector<Call> calls;

  Index add(protocol::Event event, std::optional<protocol::ServiceTime> at) {
    facts.push_back({std::move(event), at, false});
    return facts.size() - 1;
  }

  std::size_t number_of(const std::string& id) const {
    const auto found = std::ranges::find(calls, id, [](const Call& call) { return call.use.id; });
    return static_cast<std::size_t>(found - calls.begin());
  }

  bool heard_of(const Call& call) const { return call.fact && facts[*call.fact].heard; }

  /// Was all heard that happened from here on, up to `end`?
  bool heard_all(Index from, Index end) const {
    for (Index i = from; i < end; ++i) {
      if (!facts[i].heard) return false;
    }
    return true;
  }

  bool heard_answer(const Call& call) const {
    return any_heard<protocol::ToolAnswered>(0, [&](const auto& e) { return e.tool_use_id == call.use.id; });
  }
  bool answered(const Call& call) const {
    return std::ranges::any_of(facts, [&](const Fact& fact) {
      const auto* answer = std::get_if<protocol::ToolAnswered>(&fact.event);
      return answer && answer->tool_use_id == call.use.id;
    });
  }
  bool thread_ended(const Call& call) const {
    return std::ranges::any_of(facts, [&](const Fact& fact) {
      const auto* end = std::get_if<protocol::ThreadTerminated>(&fact.event);
      return end && end->thread == call.use.thread;
    });
  }
  bool heard_end_of_thread(const Call& call) const {
    return any_heard<protocol::ThreadTerminated>(0,
                                                 [&](const auto& e) { return e.thread == call.use.thread; });
  }

  /// Since when it was allowed to run, by what was heard; nothing: it isn't.
  std::optional<Index> allowed_since(const Call& call) const {
    if (!heard_of(call) || call.use.permission == protocol::Permission::deny) return std::nullopt;
    if (call.use.permission == protocol::Permission::allow) return call.fact;
    const auto verdict = first_verdict(call);
    if (!verdict || !std::get<protocol::Confirmation>(facts[*verdict].event).allow) return std::nullopt;
    return std::max(*verdict, *call.fact);
  }
  bool was_rejected(const Call& call) const {
    if (call.use.permission != protocol::Permission::ask) {
      return call.use.permission == protocol::Permission::deny;
    }
    const auto verdict = first_verdict(call);
    return verdict && !std::get<protocol::Confirmation>(facts[*verdict].event).allow;
  }
  bool was_interrupted(const Call& call) const {
    const auto since = allowed_since(call);
    return since && any_heard<protocol::Interrupt>(
                        *since, [&](const auto& e) { return !e.thread || *e.thread == call.use.thread; });
  }

  /// The last thing heard that says whether the session is idle.
  std::optional<Index> last_about_idleness() const {
    for (Index i = facts.size(); i-- > 0;) {
      const auto& event = facts[i].event;
      if (!facts[i].heard || std::holds_alternative<protocol::Confirmation>(event) ||
          std::holds_alternative<protocol::ThreadTerminated>(event)) {
        continue;
      }
      return i;
    }
    return std::nullopt;
  }

 private:
  template <class E, class F>
  bool any_heard(Index from, F&& matches) const {
    for (Index i = from; i < facts.size(); ++i) {
      const auto* event = std::get_if<E>(&facts[i].event);
      if (event && facts[i].heard && matches(*event)) return true;
    }
    return false;
  }
  std::optional<Index> first_verdict(const Call& call) const {
    for (Index i = 0; i < facts.size(); ++i) {
      const auto* verdict = std::get_if<protocol::Confirmation>(&facts[i].event);
      if (verdict && facts[i].heard && verdict->tool_use_id == call.use.id) return i;
    }
    return std::nullopt;
  }
};

}  // namespace sandbox_worker::tests
