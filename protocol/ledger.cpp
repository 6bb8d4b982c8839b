#include "protocol/ledger.hpp"

#include <algorithm>
#include <utility>

namespace sandbox_worker::protocol {

using namespace std::chrono_literals;

namespace {

/// The service need not order its times as it orders its events to the last moment. Reading a few seconds
/// more costs a part of a page, and nothing changes by an event that is read again.
constexpr auto kHistoryOverlap = 2s;

template <class... F>
struct Overload : F... {
  using F::operator()...;
};

/// wire.md#idle: these two don't say that the session goes on.
bool leaves_idle_alone(const Event& event) {
  return std::holds_alternative<Confirmation>(event) || std::holds_alternative<ThreadTerminated>(event);
}

const StatusIdle* counting_idle(const Event& event) {
  const auto* idle = std::get_if<StatusIdle>(&event);
  return idle && !idle->requires_action ? idle : nullptr;
}

/// It carries nothing, is in no history and has no time.
bool is_ping(const Event& event) {
  const auto* other = std::get_if<OtherEvent>(&event);
  return other && other->type == "ping";
}

}  // namespace

Ledger::Ledger(std::function<bool(std::string_view, bool)> is_ours, std::chrono::milliseconds max_idle,
               HashKey key)
    : is_ours_(std::move(is_ours)),
      max_idle_(max_idle),
      closed_(key),
      confirmed_(key),
      rejected_(key),
      judged_in_gap_(key),
      dead_threads_(key),
      read_interrupts_(key) {}

void Ledger::begin_attach() {
  attached_ = gap_ = true;
  complete_ = failed_ = false;
  stream_until_.reset();
  ++stream_;
  begin_history();
}

void Ledger::begin_history() {
  reading_ = true;
  live_since_pass_ = false;
  history_idle_.reset();
  pass_until_.reset();
  late_.clear();
  ++pass_;
}

/// The oldest open call is read again, so that what is said of it is heard in order, and the last event about
/// idleness, so that it is found to be the last one. What was said before them has been taken in.
std::optional<ServiceTime> Ledger::history_from() const {
  if (untimed_ || !history_read_ || !known_until_) return std::nullopt;
  ServiceTime from = *known_until_;
  for (const auto& [id, open] : open_) {
    if (!open.at) return std::nullopt;
    from = std::min(from, *open.at);
  }
  return from - kHistoryOverlap;
}

void Ledger::note_time(const Event& event, bool live, std::optional<ServiceTime> at) {
  if (!at) untimed_ = true;
  if (!at || leaves_idle_alone(event)) return;
  auto& until = !live ? pass_until_ : complete_ ? known_until_ : stream_until_;
  until = std::max(until, at);
}

Ledger::Actions Ledger::on_history(Event event, std::optional<ServiceTime> at) {
  note_time(event, false, at);
  if (const auto* idle = counting_idle(event)) {
    history_idle_ = *idle;
  } else if (!leaves_idle_alone(event)) {
    history_idle_.reset();
  }
  Actions actions;  // no Run among them while the history is read
  apply(std::move(event), false, at, actions);
  return actions;
}

Ledger::Actions Ledger::end_attach(bool whole, TimePoint now) {
  Actions actions;
  if (whole) {
    complete_ = history_read_ = true;
    known_until_ = std::max({known_until_, pass_until_, stream_until_});
    judged_in_gap_.clear();
  }
  apply_late(actions);
  reading_ = false;
  failed_ = !whole;
  if (ended_) {
    actions.emplace_back(End{ended_->deleted});
    return actions;
  }
  give_out_ready(actions);

  if (whole && !live_since_pass_) {
    const bool was_idle = idle_ && history_idle_ && history_idle_->id == idle_event_ && !idle_event_.empty();
    idle_ = history_idle_ && foreign_.empty();
    gap_ = false;
    // The same idle as before the reconnect: its countdown goes on, or reconnects could put the end off for
    // ever.
    if (!was_idle) idle_from_.reset();
    if (idle_) idle_event_ = history_idle_->id;
  }
  settle_idle(now);
  return actions;
}

void Ledger::on_detached(TimePoint now) {
  attached_ = reading_ = complete_ = false;
  settle_idle(now);
}

Ledger::Actions Ledger::on_live(Event event, TimePoint now, std::optional<ServiceTime> at) {
  Actions actions;
  if (is_ping(event)) return actions;
  note_time(event, true, at);
  if (const auto* idle = counting_idle(event)) {
    idle_ = live_since_pass_ = true;
    gap_ = false;
    idle_from_.reset();
    idle_event_ = idle->id;
  } else if (!leaves_idle_alone(event) ||
             (!history_read_ && std::holds_alternative<ThreadTerminated>(event))) {
    idle_ = gap_ = false;
    live_since_pass_ = true;
  }
  apply(std::move(event), true, at, actions);
  if (ended_) actions.emplace_back(End{ended_->deleted});
  settle_idle(now);
  return actions;
}

void Ledger::on_closed(const std::string& id, TimePoint now) {
  close(id);
  settle_idle(now);
}

std::optional<Ledger::TimePoint> Ledger::idle_deadline() const {
  if (!idle_from_ || !attached_ || reading_ || gap_ || max_idle_.count() == 0) return std::nullopt;
  return *idle_from_ + max_idle_;
}

void Ledger::apply(Event event, bool live, std::optional<ServiceTime> at, Actions& actions) {
  std::visit(Overload{
                 [&](ToolUse& call) { on_tool_use(std::move(call), live, at, actions); },
                 [&](Confirmation& confirmation) {
                   if (live && reading_) {
                     late_.push_back({std::move(confirmation), next_order_++});
                   } else {
                     on_confirmation(confirmation, live, actions);
                   }
                 },
                 [&](const ToolAnswered& answered) { on_answered(answered.tool_use_id, actions); },
                 [&](Interrupt& interrupt) { on_interrupt(std::move(interrupt), live, actions); },
                 [&](const ThreadTerminated& ended) { on_thread_terminated(ended.thread, actions); },
                 [&](const SessionEnded& ended) { ended_ = ended; },
                 [](const StatusIdle&) {},
                 [](const OtherEvent&) {},
             },
             event);
}

void Ledger::on_tool_use(ToolUse call, bool live, std::optional<ServiceTime> at, Actions& actions) {
  if (closed_.contains(call.id) || foreign_.contains(call.id)) return;
  auto found = open_.find(call.id);
  if (found == open_.end()) {
    const bool confirmed = confirmed_.erase(call.id);
    const bool rejected = rejected_.erase(call.id);
    if (dead_threads_.contains(call.thread)) return drop(std::move(call.id), "its thread has ended", actions);
    if (call.permission == Permission::deny) return drop(std::move(call.id), "it was denied", actions);
    if (call.permission == Permission::ask && rejected) {
      return drop(std::move(call.id), "it was not confirmed", actions);
    }
    if (!is_ours_(call.name, call.custom)) {
      const bool held = call.permission == Permission::ask && !confirmed;
      foreign_.emplace(std::move(call.id), ForeignCall{std::move(call.thread), held});
      return;
    }
    const bool maybe_later = !live && judged_in_gap_.contains(call.id);
    OpenCall open;
    open.allowed_at_sight = call.permission == Permission::allow || (confirmed && !maybe_later);
    if (open.allowed_at_sight || confirmed) open.state = State::ready;
    if (open.allowed_at_sight && live) open.allowed_on = stream_;
    open.call = std::move(call);
    auto id = open.call.id;
    found = open_.emplace(std::move(id), std::move(open)).first;
  }
  OpenCall& open = found->second;
  if (at) open.at = at;
  if (live) {
    open.live_order = next_order_++;
    open.stream = stream_;
    if (open.order == 0) open.order = open.live_order;
  } else {
    open.order = next_order_++;
    open.pass = pass_;
    if (open.confirmed_pass == pass_) open.allowed_at_sight = true;
  }
  if (open.state == State::ready && may_be_given_out(open)) give_out(open, actions);
}

void Ledger::on_confirmation(const Confirmation& confirmation, bool live, Actions& actions) {
  if (!live) forget_late(confirmation.id);
  const auto& id = confirmation.tool_use_id;
  if (closed_.contains(id)) return;
  if (const auto foreign = foreign_.find(id); foreign != foreign_.end()) {
    // Whose call it is will not answer it.
    if (foreign->second.held && !confirmation.allow) close(id);
    return;
  }
  const auto found = open_.find(id);
  if (found == open_.end()) return take_verdict(confirmation, live);

  OpenCall& open = found->second;
  const bool first_of_pass = !live && open.confirmed_pass != pass_;
  // A ready call that wasn't given out may owe that to a later verdict, when the first one had been missed.
  const bool may_drop =
      open.state == State::held || (open.state == State::ready && first_of_pass && !open.allowed_at_sight);
  if (!confirmation.allow) {
    if (may_drop) drop(id, "it was not confirmed", actions);
    return;
  }
  if (!live) open.confirmed_pass = pass_;
  if (open.state == State::held) {
    open.state = State::ready;
    if (may_be_given_out(open)) give_out(open, actions);
  }
}

/// Of a call that hasn't been seen yet. The first one counts.
void Ledger::take_verdict(const Confirmation& confirmation, bool live) {
  const auto& id = confirmation.tool_use_id;
  const bool known = confirmed_.contains(id) || rejected_.contains(id);
  const bool only_later = !live && judged_in_gap_.erase(id);
  if (known && !only_later) return;
  (confirmation.allow ? rejected_ : confirmed_).erase(id);
  (confirmation.allow ? confirmed_ : rejected_).insert(id);
  if (live && !complete_) judged_in_gap_.insert(id);
}

void Ledger::on_answered(const std::string& id, Actions& actions) {
  const auto found = open_.find(id);
  const bool given_out = found != open_.end() && found->second.state == State::active;
  close(id);
  if (given_out) actions.emplace_back(Cancel{id, CancelReason::answered_elsewhere});
}

/// An interrupt covers the calls that might have run when it came. In the history these are the ones that
/// stand before it and were allowed before it.
void Ledger::on_interrupt(Interrupt interrupt, bool live, Actions& actions) {
  if (!live) {
    forget_late(interrupt.id);
    if (!interrupt.id.empty()) read_interrupts_.insert(interrupt.id);
    interrupt_calls(interrupt, actions, [&](const OpenCall& open) {
      return open.pass == pass_ && (open.allowed_at_sight || open.confirmed_pass == pass_);
    });
  } else if (read_interrupts_.contains(interrupt.id)) {
    // The stream comes after the history, which may have shown later calls as well.
  } else if (reading_) {
    // Of a call that waits, the history may yet say that it came after the interrupt.
    interrupt_calls(interrupt, actions, [&](const OpenCall& open) {
      return open.state == State::active || needs_no_history(open);
    });
    late_.push_back({std::move(interrupt), next_order_++});
  } else {
    interrupt_calls(interrupt, actions, [](const OpenCall&) { return true; });
  }
}

void Ledger::interrupt_calls(const Interrupt& interrupt, Actions& actions,
                             const std::function<bool(const OpenCall&)>& if_this) {
  for (auto& [id, open] : open_) {
    if (open.state == State::held || open.interrupted) continue;
    if (interrupt.thread && *interrupt.thread != open.call.thread) continue;
    if (!if_this(open)) continue;
    open.interrupted = true;
    if (open.state == State::active) actions.emplace_back(Cancel{id, CancelReason::interrupted});
  }
}

void Ledger::forget_late(const std::string& event_id) {
  if (event_id.empty()) return;
  std::erase_if(late_, [&](const Late& late) {
    return std::visit([&](const auto& event) { return event.id == event_id; }, late.event);
  });
}

/// What is left is not in the history: it came after all that is, and after what the stream had before it.
void Ledger::apply_late(Actions& actions) {
  for (const auto& late : std::exchange(late_, {})) {
    if (const auto* confirmation = std::get_if<Confirmation>(&late.event)) {
      on_confirmation(*confirmation, true, actions);
    } else {
      interrupt_calls(std::get<Interrupt>(late.event), actions, [&](const OpenCall& open) {
        return !needs_no_history(open) && open.live_order < late.order;
      });
    }
  }
}

void Ledger::on_thread_terminated(const std::string& thread, Actions& actions) {
  if (!dead_threads_.insert(thread)) return;
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
  // Nobody answers these any more, so the session doesn't wait for them.
  dropped.clear();
  for (const auto& [id, foreign] : foreign_) {
    if (foreign.thread == thread) dropped.push_back(id);
  }
  for (const auto& id : dropped) close(id);
}

bool Ledger::may_be_given_out(const OpenCall& open) const {
  if (!attached_) return false;
  return reading_ ? needs_no_history(open) : complete_ || open.stream == stream_;
}

/// The stream has said all that matters of it. While the history is read for the first time, waiting for it
/// is short and keeps the order; when it could not be read, it may hang again.
bool Ledger::needs_no_history(const OpenCall& open) const {
  return failed_ && open.allowed_on == stream_;
}

void Ledger::give_out_ready(Actions& actions) {
  std::vector<OpenCall*> ready;
  for (auto& [id, open] : open_) {
    if (open.state == State::ready && may_be_given_out(open)) ready.push_back(&open);
  }
  // What the history has is older than what only the stream had.
  std::ranges::sort(ready, {},
                    [&](const OpenCall* open) { return std::pair(open->pass != pass_, open->order); });
  for (OpenCall* open : ready) give_out(*open, actions);
}

void Ledger::give_out(OpenCall& open, Actions& actions) {
  open.state = State::active;
  Run run;
  run.interrupted = open.interrupted;
  run.begun_before = begun_before_.erase(open.call.id) > 0;
  run.call.id = open.call.id;
  run.call.thread = open.call.thread;
  run.call.name = std::move(open.call.name);
  run.call.input = std::exchange(open.call.input, std::nullopt);
  run.call.fault = std::move(open.call.fault);
  run.call.kept = std::move(open.call.kept);
  run.call.custom = open.call.custom;
  actions.emplace_back(std::move(run));
}

void Ledger::close(const std::string& id) {
  closed_.insert(id);
  open_.erase(id);
  foreign_.erase(id);
  confirmed_.erase(id);
  rejected_.erase(id);
  begun_before_.erase(id);
}

void Ledger::drop(std::string id, const char* reason, Actions& actions) {
  close(id);
  actions.emplace_back(Drop{std::move(id), reason});
}

void Ledger::settle_idle(TimePoint now) {
  if (!idle_ || !open_.empty()) {
    idle_from_.reset();
  } else if (!idle_from_) {
    idle_from_ = now;
  }
}

}  // namespace sandbox_worker::protocol
