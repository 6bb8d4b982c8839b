#include "protocol/ledger.hpp"

#include <algorithm>
#include <utility>

namespace sandbox_worker::protocol {
namespace {

template <class... F>
struct Overload : F... {
  using F::operator()...;
};

/// wire.md#idle: these two don't say that the session goes on.
bool leaves_idle_alone(const Event& event) {
  return std::holds_alternative<Confirmation>(event) || std::holds_alternative<ThreadTerminated>(event);
}

bool covers(const Interrupt& interrupt, const ToolUse& call) {
  return !interrupt.thread || *interrupt.thread == call.thread;
}

}  // namespace

Ledger::Ledger(std::function<bool(std::string_view, bool)> is_ours, std::chrono::milliseconds max_idle)
    : is_ours_(std::move(is_ours)), max_idle_(max_idle) {}

void Ledger::begin_attach() {
  attaching_ = attached_ = true;
  live_since_attach_ = false;
  history_idle_.reset();
  interrupts_.clear();
  ++attach_;
}

void Ledger::on_history(Event event) {
  if (const auto* idle = std::get_if<StatusIdle>(&event); idle && !idle->requires_action) {
    history_idle_ = *idle;
  } else if (!leaves_idle_alone(event)) {
    history_idle_.reset();
  }
  Actions none;  // nothing is given out while attaching
  apply(std::move(event), false, none);
}

Ledger::Actions Ledger::end_attach(bool whole, TimePoint now) {
  attaching_ = false;
  history_read_ = history_read_ || whole;
  Actions actions;
  if (ended_) {
    actions.emplace_back(End{ended_->deleted});
    return actions;
  }
  apply_live_interrupts();
  std::vector<OpenCall*> ready;
  for (auto& [id, open] : open_) {
    if (open.state == State::ready) ready.push_back(&open);
    if (open.state == State::active && std::exchange(open.interrupted, false)) {
      actions.emplace_back(Cancel{id, CancelReason::interrupted});
    }
  }
  // What the history has is older than what only the stream had.
  std::ranges::sort(ready, {},
                    [&](const OpenCall* open) { return std::pair(open->attach != attach_, open->order); });
  for (OpenCall* open : ready) give_out(*open, actions);

  if (whole && !live_since_attach_) {
    const bool was_idle = idle_ && history_idle_ && history_idle_->id == idle_event_ && !idle_event_.empty();
    idle_ = history_idle_ && foreign_.empty();
    // The same idle as before the reconnect: its countdown goes on, or reconnects could put the end off for
    // ever.
    if (!was_idle) idle_from_.reset();
    if (idle_) idle_event_ = history_idle_->id;
  }
  settle_idle(now);
  return actions;
}

void Ledger::on_detached(TimePoint now) {
  attaching_ = attached_ = false;
  settle_idle(now);
}

Ledger::Actions Ledger::on_live(Event event, TimePoint now) {
  Actions actions;
  if (const auto* idle = std::get_if<StatusIdle>(&event); idle && !idle->requires_action) {
    idle_ = true;
    idle_from_.reset();
    idle_event_ = idle->id;
    live_since_attach_ = true;
  } else if (!leaves_idle_alone(event) ||
             (!history_read_ && std::holds_alternative<ThreadTerminated>(event))) {
    idle_ = false;
    live_since_attach_ = true;
  }
  apply(std::move(event), true, actions);
  if (ended_) actions.emplace_back(End{ended_->deleted});
  settle_idle(now);
  return actions;
}

void Ledger::on_closed(const std::string& id, TimePoint now) {
  close(id);
  settle_idle(now);
}

std::optional<Ledger::TimePoint> Ledger::idle_deadline() const {
  if (!idle_from_ || !attached_ || attaching_ || max_idle_.count() == 0) return std::nullopt;
  return *idle_from_ + max_idle_;
}

void Ledger::apply(Event event, bool live, Actions& actions) {
  std::visit(Overload{
                 [&](ToolUse& call) { on_tool_use(std::move(call), live, actions); },
                 [&](const Confirmation& confirmation) { on_confirmation(confirmation, actions); },
                 [&](const ToolAnswered& answered) { on_answered(answered.tool_use_id, actions); },
                 [&](const Interrupt& interrupt) { on_interrupt(interrupt, live, actions); },
                 [&](const ThreadTerminated& ended) { on_thread_terminated(ended.thread, actions); },
                 [&](const SessionEnded& ended) { ended_ = ended; },
                 [](const StatusIdle&) {},
                 [](const OtherEvent&) {},
             },
             event);
}

void Ledger::on_tool_use(ToolUse call, bool live, Actions& actions) {
  if (closed_.contains(call.id) || foreign_.contains(call.id)) return;
  if (const auto found = open_.find(call.id); found != open_.end()) {
    auto& order = live ? found->second.live_order : found->second.order;
    order = next_order_++;
    if (!live) found->second.attach = attach_;
    return;
  }
  if (dead_threads_.contains(call.thread)) return drop(std::move(call.id), "its thread has ended", actions);
  if (call.permission == Permission::deny) return drop(std::move(call.id), "it was denied", actions);
  if (!is_ours_(call.name, call.custom)) {
    foreign_.insert(std::move(call.id));
    return;
  }
  OpenCall open;
  open.order = next_order_++;
  open.live_order = live ? open.order : 0;
  open.attach = live ? 0 : attach_;
  bool allowed = call.permission == Permission::allow;
  if (auto verdict = verdicts_.extract(call.id)) {
    if (!allowed && !verdict.mapped()) return drop(std::move(call.id), "it was not confirmed", actions);
    allowed = true;
  }
  open.call = std::move(call);
  const auto id = open.call.id;
  auto& entry = open_.emplace(id, std::move(open)).first->second;
  ++held_;
  if (allowed) release(entry, actions);
}

void Ledger::on_confirmation(const Confirmation& confirmation, Actions& actions) {
  const auto& id = confirmation.tool_use_id;
  if (closed_.contains(id) || foreign_.contains(id)) return;
  const auto found = open_.find(id);
  if (found == open_.end()) {
    verdicts_.try_emplace(id, confirmation.allow);
  } else if (found->second.state == State::held) {
    if (confirmation.allow) {
      release(found->second, actions);
    } else {
      drop(id, "it was not confirmed", actions);
    }
  }
}

void Ledger::on_answered(const std::string& id, Actions& actions) {
  foreign_.erase(id);
  verdicts_.erase(id);
  const auto found = open_.find(id);
  const bool given_out = found != open_.end() && found->second.state == State::active;
  close(id);
  if (given_out) actions.emplace_back(Cancel{id, CancelReason::answered_elsewhere});
}

void Ledger::on_interrupt(const Interrupt& interrupt, bool live, Actions& actions) {
  if (live && attaching_) interrupts_.push_back({interrupt, next_order_++});
  for (auto& [id, open] : open_) {
    if (!covers(interrupt, open.call)) continue;
    if (live && open.state == State::active) actions.emplace_back(Cancel{id, CancelReason::interrupted});
    // In the history only what stood before it counts; an old interrupt says nothing about a later call.
    if (!live && open.attach == attach_ && open.state != State::held) open.interrupted = true;
  }
}

/// A call that the stream showed only after the interrupt is a later one; all others were there before.
void Ledger::apply_live_interrupts() {
  for (const auto& [interrupt, order] : interrupts_) {
    for (auto& [id, open] : open_) {
      const bool before = open.live_order == 0 || open.live_order < order;
      if (open.state == State::ready && before && covers(interrupt, open.call)) open.interrupted = true;
    }
  }
  interrupts_.clear();
}

void Ledger::on_thread_terminated(const std::string& thread, Actions& actions) {
  dead_threads_.insert(thread);
  std::vector<std::string> dropped;
  for (const auto& [id, open] : open_) {
    if (open.call.thread != thread) continue;
    if (open.state == State::active) {
      actions.emplace_back(Cancel{id, CancelReason::thread_ended});
    } else {
      dropped.push_back(id);
    }
  }
  for (auto& id : dropped) drop(std::move(id), "its thread has ended", actions);
}

void Ledger::release(OpenCall& open, Actions& actions) {
  open.state = State::ready;
  --held_;
  if (!attaching_) give_out(open, actions);
}

void Ledger::give_out(OpenCall& open, Actions& actions) {
  open.state = State::active;
  ++active_;
  Run run;
  run.interrupted = std::exchange(open.interrupted, false);
  run.call.id = open.call.id;
  run.call.thread = open.call.thread;
  run.call.name = std::move(open.call.name);
  run.call.input = std::exchange(open.call.input, std::nullopt);
  run.call.custom = open.call.custom;
  actions.emplace_back(std::move(run));
}

void Ledger::close(const std::string& id) {
  if (const auto found = open_.find(id); found != open_.end()) {
    if (found->second.state == State::held) --held_;
    if (found->second.state == State::active) --active_;
    closed_.insert(id);
    open_.erase(found);
  } else {
    closed_.insert(id);
  }
}

void Ledger::drop(std::string id, const char* reason, Actions& actions) {
  close(id);
  actions.emplace_back(Drop{std::move(id), reason});
}

void Ledger::settle_idle(TimePoint now) {
  const bool counts = idle_ && held_ == 0 && active_ == 0;
  if (!counts) {
    idle_from_.reset();
  } else if (!idle_from_) {
    idle_from_ = now;
  }
}

}  // namespace sandbox_worker::protocol
