#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

#include "protocol/event.hpp"

namespace sandbox_worker::protocol {

/// Decides for each event what to run, hold, drop or ignore, and when the session is over: wire.md#events and
/// what follows it. Pure: told the time, never waits. A call id is given out as Run at most once, whatever is
/// seen.
///
/// Attaching: begin_attach() when a stream has opened, on_history() for each event of the history while
/// on_live() goes on, end_attach() when the history was read or can't be. Nothing is run in between, since
/// the history may hold the answer. A detached ledger (on_detached) doesn't count an idle session down: it
/// may have missed events.
class Ledger {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// Begin this call; `interrupted`: answer it as interrupted instead, it was cut before it began.
  struct Run {
    ToolUse call;
    bool interrupted = false;
  };
  enum class CancelReason {
    interrupted,         // stop it, or don't begin it, and answer it as interrupted
    answered_elsewhere,  // stop it, or don't begin it, and post nothing
    thread_ended,        // don't begin it, and post nothing; if it runs already, leave it
  };
  struct Cancel {
    std::string id;
    CancelReason reason{};
  };
  /// Not run and not answered; for the log.
  struct Drop {
    std::string id;
    const char* reason = "";
  };
  struct End {
    bool deleted = false;  // else terminated
  };
  using Action = std::variant<Run, Cancel, Drop, End>;
  using Actions = std::vector<Action>;

  /// `is_ours`: is there a tool of that name here (the second argument: as a custom tool)?
  /// `max_idle`: 0 never ends an idle session.
  Ledger(std::function<bool(std::string_view, bool)> is_ours, std::chrono::milliseconds max_idle);

  void begin_attach();
  void on_history(Event event);
  /// `whole`: the history was read to its end.
  Actions end_attach(bool whole, TimePoint now);
  void on_detached(TimePoint now);

  Actions on_live(Event event, TimePoint now);

  /// A call given out as Run is over for us: its answer has arrived, was refused for good, or is not to be
  /// given.
  void on_closed(const std::string& id, TimePoint now);

  /// Somebody's answer to this call has been seen, or it was closed.
  bool is_closed(const std::string& id) const { return closed_.contains(id); }
  /// When the idle session ends, if nothing comes in between.
  std::optional<TimePoint> idle_deadline() const;
  /// Calls given out and not closed yet.
  std::size_t active() const { return active_; }

 private:
  enum class State { held, ready, active };
  struct OpenCall {
    ToolUse call;  // moved out once active, but for thread and id
    State state = State::held;
    bool interrupted = false;
    std::uint64_t order = 0;       // as first seen, or as in the last history
    std::uint64_t live_order = 0;  // as seen on the stream; 0: not seen there
    std::uint64_t attach = 0;      // the last attach whose history had it
  };

  void apply(Event event, bool live, Actions& actions);
  void on_tool_use(ToolUse call, bool live, Actions& actions);
  void on_confirmation(const Confirmation& confirmation, Actions& actions);
  void on_answered(const std::string& id, Actions& actions);
  void on_interrupt(const Interrupt& interrupt, bool live, Actions& actions);
  void apply_live_interrupts();
  void on_thread_terminated(const std::string& thread, Actions& actions);
  void release(OpenCall& open, Actions& actions);
  void give_out(OpenCall& open, Actions& actions);
  void close(const std::string& id);
  void drop(std::string id, const char* reason, Actions& actions);
  void settle_idle(TimePoint now);

  const std::function<bool(std::string_view, bool)> is_ours_;
  const std::chrono::milliseconds max_idle_;

  std::unordered_map<std::string, OpenCall> open_;  // ours, neither answered nor dropped
  std::unordered_set<std::string> foreign_;         // open calls of tools that aren't ours
  std::unordered_set<std::string> closed_;          // answered, dropped, or given up
  std::unordered_map<std::string, bool> verdicts_;  // confirmations whose call hasn't been seen yet
  std::unordered_set<std::string> dead_threads_;
  std::size_t held_ = 0;
  std::size_t active_ = 0;
  std::uint64_t next_order_ = 1;

  bool attaching_ = false;
  bool attached_ = false;
  bool history_read_ = false;  // whole, at least once
  std::uint64_t attach_ = 0;
  bool live_since_attach_ = false;  // an event that says more about idleness than the history
  struct LiveInterrupt {
    Interrupt interrupt;
    std::uint64_t order;
  };
  std::vector<LiveInterrupt> interrupts_;  // of this attach: they cover calls that the history is yet to show
  std::optional<SessionEnded> ended_;

  bool idle_ = false;  // the last word on it was an idle that counts
  std::string idle_event_;
  std::optional<StatusIdle> history_idle_;  // the history's last relevant event, when it is an idle
  std::optional<TimePoint> idle_from_;
};

}  // namespace sandbox_worker::protocol
