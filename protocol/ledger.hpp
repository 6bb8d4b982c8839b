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
#include "protocol/id_set.hpp"

namespace sandbox_worker::protocol {

/// Decides for each event what to run, hold, drop or ignore, and when the session is over: wire.md#events and
/// what follows it. Pure: told the time, never waits. A call id is given out as Run at most once, whatever is
/// seen.
///
/// Attaching: begin_attach() when a stream has opened, on_history() for each event of the history while
/// on_live() goes on, end_attach() when the history was read or can't be. Nothing is run in between, since
/// the history may hold the answer. When it can't be read, calls that came on this very stream are run all
/// the same, as their answers would have come on it too, also while it is read once more; all others wait for
/// a history that was read whole (begin_history(), or the next begin_attach()). A detached ledger
/// (on_detached), or one that has a gap between its stream and its history, doesn't count an idle session
/// down: it may have missed events.
class Ledger {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// Begin this call; `interrupted`: answer it as interrupted instead, it was cut before it began;
  /// `begun_before`: a worker before us has begun it, so answer it without running it.
  struct Run {
    ToolUse call;
    bool interrupted = false;
    bool begun_before = false;
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
  /// `max_idle`: 0 never ends an idle session. `key`: for the ids that are remembered.
  Ledger(std::function<bool(std::string_view, bool)> is_ours, std::chrono::milliseconds max_idle,
         HashKey key);

  /// A worker before us has begun this call. Before the first attach.
  void remember_begun(std::string id) { begun_before_.insert(std::move(id)); }

  /// A stream has opened, and its history is going to be read.
  void begin_attach();
  /// The history is read once more for the same stream.
  void begin_history();
  /// What an event before this time says is known, so that reading may begin here. Nothing: read it whole.
  std::optional<ServiceTime> history_from() const;
  Actions on_history(Event event, std::optional<ServiceTime> at = std::nullopt);
  /// `whole`: the history was read to its end.
  Actions end_attach(bool whole, TimePoint now);
  void on_detached(TimePoint now);

  Actions on_live(Event event, TimePoint now, std::optional<ServiceTime> at = std::nullopt);

  /// A call given out as Run is over for us: its answer has arrived, was refused for good, or is not to be
  /// given.
  void on_closed(const std::string& id, TimePoint now);

  /// Somebody's answer to this call has been seen, or it was closed.
  bool is_closed(const std::string& id) const { return closed_.contains(id); }
  /// When the idle session ends, if nothing comes in between.
  std::optional<TimePoint> idle_deadline() const;

 private:
  enum class State { held, ready, active };  // waits for a confirmation, may be given out, was given out
  struct OpenCall {
    ToolUse call;  // moved out once active, but for thread and id
    State state = State::held;
    bool interrupted = false;
    bool allowed_at_sight = false;     // it needed no confirmation, or had it before it came
    std::uint64_t order = 0;           // as first seen, or as in the last history
    std::uint64_t live_order = 0;      // as seen on a stream; 0: not seen there
    std::uint64_t stream = 0;          // the last stream that showed it
    std::uint64_t allowed_on = 0;      // the stream that showed it first, allowed at sight
    std::uint64_t pass = 0;            // the last reading of the history that showed it
    std::uint64_t confirmed_pass = 0;  // ... that showed it confirmed
    std::optional<ServiceTime> at;
  };
  struct ForeignCall {
    std::string thread;
    bool held = false;
  };
  /// From the stream while the history is read. What the history has as well is taken in its order instead.
  struct Late {
    std::variant<Confirmation, Interrupt> event;
    std::uint64_t order;
  };

  void note_time(const Event& event, bool live, std::optional<ServiceTime> at);
  void apply(Event event, bool live, std::optional<ServiceTime> at, Actions& actions);
  void on_tool_use(ToolUse call, bool live, std::optional<ServiceTime> at, Actions& actions);
  void on_confirmation(const Confirmation& confirmation, bool live, Actions& actions);
  void on_answered(const std::string& id, Actions& actions);
  void on_interrupt(Interrupt interrupt, bool live, Actions& actions);
  void interrupt_calls(const Interrupt& interrupt, Actions& actions,
                       const std::function<bool(const OpenCall&)>& if_this);
  void on_thread_terminated(const std::string& thread, Actions& actions);
  void forget_late(const std::string& event_id);
  void apply_late(Actions& actions);
  void take_verdict(const Confirmation& confirmation, bool live);
  bool may_be_given_out(const OpenCall& open) const;
  bool needs_no_history(const OpenCall& open) const;
  void give_out_ready(Actions& actions);
  void give_out(OpenCall& open, Actions& actions);
  void close(const std::string& id);
  void drop(std::string id, const char* reason, Actions& actions);
  void settle_idle(TimePoint now);

  const std::function<bool(std::string_view, bool)> is_ours_;
  const std::chrono::milliseconds max_idle_;

  std::unordered_map<std::string, OpenCall> open_;        // ours, neither answered nor dropped
  std::unordered_map<std::string, ForeignCall> foreign_;  // open calls of tools that aren't ours
  std::unordered_set<std::string> begun_before_;          // by a worker before us, and not given out yet
  IdSet closed_;                                          // answered, dropped, or given up
  IdSet confirmed_;                                       // calls that haven't been seen yet
  IdSet rejected_;                                        // the same
  IdSet judged_in_gap_;  // of both: the history may yet show the call, or another verdict, before it
  IdSet dead_threads_;
  IdSet read_interrupts_;  // events that the history showed
  std::uint64_t next_order_ = 1;

  bool attached_ = false;
  bool reading_ = false;       // the history
  bool complete_ = false;      // ... was read whole since this stream opened
  bool failed_ = false;        // ... could not be read since then
  bool history_read_ = false;  // ... was read whole at least once
  std::uint64_t stream_ = 0;
  std::uint64_t pass_ = 0;
  std::vector<Late> late_;
  std::optional<SessionEnded> ended_;

  // Times of the last event that says something about idleness: all before it is known.
  std::optional<ServiceTime> known_until_;
  std::optional<ServiceTime> pass_until_;    // of the reading under way
  std::optional<ServiceTime> stream_until_;  // of a stream without its history
  bool untimed_ = false;                     // an event had no time: filtering by time can't be relied on

  bool idle_ = false;             // the last word on it was an idle that counts
  bool gap_ = false;              // a later word may have been missed
  bool live_since_pass_ = false;  // the stream had a later word than the reading under way
  std::string idle_event_;
  std::optional<StatusIdle> history_idle_;  // the history's last relevant event, when it is an idle
  std::optional<TimePoint> idle_from_;
};

}  // namespace sandbox_worker::protocol
