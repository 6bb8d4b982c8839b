// Random sessions, random faults: the ledger against a model that looks everything up in the whole story.
// A failure prints its seed; LEDGER_SEED=n plays that run alone and tells it step by step, LEDGER_RUNS=n
// plays more of them.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <map>
#include <random>
#include <stdexcept>

#include "protocol/ledger.hpp"
#include "tests/unit/protocol/simulated_session.hpp"

using namespace sandbox_worker::protocol;
using namespace std::chrono_literals;
using sandbox_worker::tests::SimulatedSession;

namespace {

constexpr auto kMaxIdle = 60s;

struct Broken : std::runtime_error {
  using std::runtime_error::runtime_error;
};

std::string word(const Ledger::Action& action) {
  if (const auto* run = std::get_if<Ledger::Run>(&action)) {
    return (run->interrupted ? "skip " : "run ") + run->call.id;
  }
  if (const auto* cancel = std::get_if<Ledger::Cancel>(&action)) {
    return fmt::format("cancel {} ({})", cancel->id, static_cast<int>(cancel->reason));
  }
  if (const auto* drop = std::get_if<Ledger::Drop>(&action)) return "drop " + drop->id;
  return "end";
}

/// One worker's life: a ledger that reads the history whole each time, one that begins where it may, what
/// they are connected to, and what becomes of the calls that they give out.
class Life {
 public:
  Life(std::uint64_t seed, bool tell) : random_(seed), tell_(tell) {
    timed_ = chance(9, 10);
    const unsigned before = below(8);
    for (unsigned i = 0; i < before; ++i) happen();
  }

  void live() {
    const unsigned steps = 10 + below(50);
    for (unsigned i = 0; i < steps && !over_; ++i) step();
    if (!over_) settle();
  }

 private:
  enum class Stage { unknown, queued, running, posting, over };
  struct Fate {
    Stage stage = Stage::unknown;
    bool interrupted = false;
    bool executed = false;
  };

  unsigned below(unsigned n) { return static_cast<unsigned>(random_() % n); }
  bool chance(unsigned of, unsigned in) { return below(in) < of; }
  std::string any_thread() { return std::string(std::array{"", "t1", "t2"}[below(3)]); }

  template <class... A>
  void tell(fmt::format_string<A...> text, A&&... arguments) {
    if (tell_) fmt::print("{}\n", fmt::format(text, std::forward<A>(arguments)...));
  }
  void require(bool holds, std::string_view what) {
    if (!holds) throw Broken(std::string(what));
  }

  // The session.

  void add(Event event, std::string_view what) {
    // Half of all events have the time of the one before them.
    if (chance(1, 2)) clock_ += std::chrono::milliseconds(below(12'000));
    tell("  {:3}: {}", session_.facts.size(), what);
    session_.add(std::move(event), timed_ ? std::optional(start_ + clock_) : std::nullopt);
  }

  std::string event_id() { return fmt::format("e{}", session_.facts.size()); }

  void happen() {
    switch (below(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        return make_call();
      case 5:
      case 6:
        return give_verdict(chance(2, 3));
      case 7:
        return answer_elsewhere();
      case 8: {
        Interrupt interrupt{std::nullopt, event_id()};
        if (chance(1, 2)) interrupt.thread = any_thread();
        return add(interrupt, "interrupt of " + interrupt.thread.value_or("all"));
      }
      case 9: {
        if (!chance(1, 3)) return;
        const std::string thread = chance(1, 2) ? "t1" : "t2";
        return add(ThreadTerminated{thread}, "end of " + thread);
      }
      case 10:
      case 11:
      case 12:
        return add(StatusIdle{event_id(), false}, "idle");
      case 13:
        return add(StatusIdle{event_id(), true}, "idle, requires action");
      case 14:
        if (chance(1, 20)) return add(SessionEnded{}, "terminated");
        [[fallthrough]];
      default:
        return add(OtherEvent{"agent.message"}, "message");
    }
  }

  void make_call() {
    // A call of which so far only a confirmation spoke, or a new one.
    auto found = std::ranges::find_if(session_.calls, [](const auto& call) { return !call.fact; });
    if (found == session_.calls.end() || chance(1, 2)) {
      plan_call();
      found = session_.calls.end() - 1;
    }
    found->fact = session_.facts.size();
    add(found->use, fmt::format("call {} in '{}', permission {}, {}", found->use.id, found->use.thread,
                                static_cast<int>(found->use.permission), found->ours ? "ours" : "foreign"));
  }

  void plan_call() {
    SimulatedSession::Call call;
    call.use.id = fmt::format("c{}", session_.calls.size());
    call.ours = chance(4, 5);
    call.use.name = call.ours ? "bash" : "theirs";
    call.use.thread = any_thread();
    const unsigned permission = below(8);
    call.use.permission = permission < 4   ? Permission::allow
                          : permission < 7 ? Permission::ask
                                           : Permission::deny;
    session_.calls.push_back(std::move(call));
    fates_.emplace_back();
  }

  void give_verdict(bool allow) {
    if (chance(1, 6)) plan_call();
    if (session_.calls.empty()) return;
    judge(below(static_cast<unsigned>(session_.calls.size())), allow);
  }

  /// Possibly twice, but the same: the service doesn't let anyone change their mind.
  void judge(std::size_t number, bool allow) {
    auto& verdict = verdicts_.try_emplace(number, allow).first->second;
    const auto& id = session_.calls[number].use.id;
    add(Confirmation{id, verdict, event_id()}, (verdict ? "allow " : "deny ") + id);
  }

  void answer_elsewhere() {
    if (session_.calls.empty()) return;
    answer(below(static_cast<unsigned>(session_.calls.size())), "answered elsewhere: ");
  }

  void answer(std::size_t number, const char* how) {
    const auto& call = session_.calls[number];
    if (call.fact && !session_.answered(call)) add(ToolAnswered{call.use.id}, how + call.use.id);
  }

  // The network.

  void step() {
    now_ += std::chrono::milliseconds(below(5'000));
    switch (below(10)) {
      case 0:
      case 1:
      case 2:
        happen();
        break;
      case 3:
        if (chance(1, 3)) connected_ ? disconnect() : connect();
        break;
      case 4:
      case 5:
        if (!connected_) connect();
        for (unsigned n = 1 + below(4); n > 0 && !over_; --n) hear_stream();
        break;
      case 6:
      case 7:
        if (reading_) read_page(chance(1, 6));
        if (!reading_ && connected_ && !whole_ && chance(1, 2)) read_again();
        break;
      default:
        work(false);
    }
    if (!over_) check_idle();
  }

  void connect() {
    tell("stream opens");
    connected_ = true;
    whole_ = failed_ = false;
    stream_at_ = stream_began_ = session_.facts.size();
    full_.begin_attach();
    part_.begin_attach();
    begin_reading();
  }
  void read_again() {
    full_.begin_history();
    part_.begin_history();
    begin_reading();
  }
  void begin_reading() {
    reading_ = true;
    history_at_ = 0;
    from_ = part_.history_from();
    tell("reading the history {}", from_ ? "from a point" : "whole");
    require(!from_ || timed_, "a point of time was made up");
  }
  void disconnect() {
    tell("stream breaks");
    connected_ = reading_ = whole_ = false;
    full_.on_detached(now_);
    part_.on_detached(now_);
  }

  void hear_stream() {
    if (!connected_ || stream_at_ == session_.facts.size()) return;
    auto& fact = session_.facts[stream_at_];
    tell("heard {}", stream_at_);
    fact.heard = true;
    ++stream_at_;
    obey(full_.on_live(fact.event, now_, fact.at), part_.on_live(fact.event, now_, fact.at));
  }

  void read_page(bool fails) {
    for (unsigned n = below(8); n > 0 && history_at_ < session_.facts.size() && !over_; --n) {
      auto& fact = session_.facts[history_at_++];
      tell("read {}", history_at_ - 1);
      fact.heard = true;
      const bool shown = !from_ || *fact.at >= *from_;
      obey(full_.on_history(fact.event, fact.at),
           shown ? part_.on_history(fact.event, fact.at) : Ledger::Actions());
    }
    if (over_ || (!fails && history_at_ < session_.facts.size())) return;
    tell("the history {}", fails ? "breaks off" : "is read");
    reading_ = false;
    whole_ = !fails;
    failed_ = fails;
    obey(full_.end_attach(!fails, now_), part_.end_attach(!fails, now_));
  }

  // The worker.

  void obey(const Ledger::Actions& actions, const Ledger::Actions& same) {
    require(std::ranges::equal(actions, same, {}, word, word), "a partial history led to another decision");
    for (const auto& action : actions) {
      tell("    -> {}", word(action));
      if (const auto* run = std::get_if<Ledger::Run>(&action)) {
        take(*run);
      } else if (const auto* cancel = std::get_if<Ledger::Cancel>(&action)) {
        cancel_call(*cancel);
      } else if (const auto* drop = std::get_if<Ledger::Drop>(&action)) {
        const auto& call = session_.calls.at(session_.number_of(drop->id));
        auto& fate = fates_[session_.number_of(drop->id)];
        require(fate.stage == Stage::unknown, "a call was dropped that had been given out");
        require(session_.was_rejected(call) || session_.heard_end_of_thread(call), "a call was dropped");
        fate.stage = Stage::over;
      } else {
        over_ = true;
      }
    }
    for (std::size_t i = 0; i < fates_.size() && !over_; ++i) {
      const auto& fate = fates_[i];
      if (fate.stage != Stage::queued && fate.stage != Stage::running) continue;
      require(fate.interrupted || !session_.was_interrupted(session_.calls[i]),
              "an interrupt did not reach a call");
    }
  }

  void take(const Ledger::Run& run) {
    const auto number = session_.number_of(run.call.id);
    const auto& call = session_.calls.at(number);
    auto& fate = fates_[number];
    require(fate.stage == Stage::unknown, "a call was given out twice");
    const bool on_stream = *call.fact >= stream_began_;
    require(connected_ && (!reading_ || (failed_ && on_stream)),
            "a call was given out while the history may hold its answer");
    require(call.ours && run.call.thread == call.use.thread, "a call was given out wrongly");
    require(session_.allowed_since(call).has_value(), "a call was given out that is not allowed");
    require(!session_.heard_answer(call), "a call was given out that is answered");
    require(!session_.heard_end_of_thread(call), "a call was given out though its thread has ended");
    require(session_.heard_all(*call.fact, stream_at_), "a call was given out that may have been answered");
    require(run.interrupted == session_.was_interrupted(call), "an interrupt was lost or made up");
    fate = {Stage::queued, run.interrupted, false};
    lanes_[call.use.thread].push_back(number);
  }

  void cancel_call(const Ledger::Cancel& cancel) {
    const auto number = session_.number_of(cancel.id);
    const auto& call = session_.calls.at(number);
    auto& fate = fates_[number];
    if (cancel.reason == Ledger::CancelReason::interrupted) {
      require(session_.was_interrupted(call), "an interrupt was made up");
      fate.interrupted = true;
      if (fate.stage == Stage::running) fate.stage = Stage::posting;
    } else if (cancel.reason == Ledger::CancelReason::answered_elsewhere) {
      require(session_.heard_answer(call), "an answer was made up");
      if (fate.stage == Stage::queued || fate.stage == Stage::running) close(number);
    } else {
      require(session_.heard_end_of_thread(call), "the end of a thread was made up");
      if (fate.stage == Stage::queued) close(number);
    }
  }

  /// Each call that was given out gets one step further, with faults unless `smoothly`.
  void work(bool smoothly) {
    for (auto& [thread, lane] : lanes_) {
      std::erase_if(lane, [&](std::size_t number) { return fates_[number].stage == Stage::over; });
      bool first = true;
      for (const std::size_t number : lane) {
        if (!smoothly && chance(1, 2)) break;
        auto& fate = fates_[number];
        if (fate.stage == Stage::posting) {
          post(number, smoothly);
        } else if (std::exchange(first, false)) {
          begin_or_finish(number);
        }
      }
    }
  }

  void begin_or_finish(std::size_t number) {
    auto& fate = fates_[number];
    const auto& call = session_.calls[number];
    if (fate.stage == Stage::running || fate.interrupted) {
      fate.stage = Stage::posting;
      return;
    }
    tell("{} begins", call.use.id);
    require(!fate.executed, "a call ran twice");
    require(!session_.heard_answer(call), "a call ran that another client had answered");
    require(!session_.heard_end_of_thread(call), "a call ran though its thread had ended");
    fate.executed = true;
    fate.stage = Stage::running;
  }

  void post(std::size_t number, bool smoothly) {
    const auto& call = session_.calls[number];
    if (full_.is_closed(call.use.id)) return close(number);
    const unsigned outcome = smoothly ? 0 : below(5);
    if (outcome == 1) return;                     // it did not arrive
    if (outcome < 4) answer(number, "answer: ");  // or had been answered: refused
    if (outcome == 2) return;                     // the service's answer was lost
    if (outcome == 4) tell("the answer to {} is given up", call.use.id);
    close(number);
  }

  void close(std::size_t number) {
    fates_[number].stage = Stage::over;
    const auto& id = session_.calls[number].use.id;
    full_.on_closed(id, now_);
    part_.on_closed(id, now_);
  }

  void check_idle() {
    const auto deadline = full_.idle_deadline();
    require(deadline == part_.idle_deadline(), "a partial history led to another idle end");
    if (!deadline) return;
    require(*deadline <= now_ + kMaxIdle, "the idle countdown is too long");
    // What the history had is heard again from the stream. Until then the stream's older word counts, for a
    // moment; a stream that lags by a whole countdown is silent, and given up.
    if (std::any_of(session_.facts.begin() + static_cast<std::ptrdiff_t>(stream_at_), session_.facts.end(),
                    [](const auto& fact) { return fact.heard; })) {
      return;
    }
    require(connected_ && !reading_, "an idle countdown in a session that may have gone on");
    const auto last = session_.last_about_idleness();
    const auto* idle = last ? std::get_if<StatusIdle>(&session_.facts[*last].event) : nullptr;
    require(idle && !idle->requires_action, "an idle countdown in a session that isn't idle");
    require(session_.heard_all(*last, stream_at_), "an idle countdown in a session that may have gone on");
    for (std::size_t i = 0; i < fates_.size(); ++i) {
      const auto& call = session_.calls[i];
      if (!call.ours || !session_.heard_of(call) || session_.heard_answer(call)) continue;
      require(fates_[i].stage == Stage::over, "an idle countdown while a call is open");
    }
    if (now_ < *deadline) return;
    tell("idle end");
    over_ = true;
  }

  /// The world comes to rest, the faults end: then the worker must, too.
  void settle() {
    tell("settling");
    for (std::size_t i = 0; i < session_.calls.size(); ++i) {
      const auto& call = session_.calls[i];
      if (!call.fact || session_.answered(call)) continue;
      // Nobody answers a call of a thread that has ended.
      if (!call.ours && !session_.thread_ended(call)) answer(i, "answered elsewhere: ");
      if (call.use.permission == Permission::ask) judge(i, chance(1, 2));
    }
    const bool reconnect = connected_ && chance(1, 2);
    for (int turn = 0; turn < 50 && !over_; ++turn) {
      now_ += 100ms;
      if (turn == 25) add(StatusIdle{event_id(), false}, "idle");
      if (turn == 30 && reconnect) disconnect();
      if (!connected_) connect();
      if (!reading_ && !whole_) read_again();
      while (reading_ && !over_) read_page(false);
      while (stream_at_ < session_.facts.size() && !over_) hear_stream();
      if (!over_) work(true);
      if (!over_) check_idle();
    }
    if (over_) return;
    require(full_.idle_deadline().has_value(), "the worker never ends");
    now_ += kMaxIdle;
    check_idle();
    require(over_, "the worker never ends");
  }

  std::mt19937_64 random_;
  const bool tell_;
  bool timed_ = true;

  SimulatedSession session_;
  const ServiceTime start_{std::chrono::sys_days(std::chrono::year(2026) / 1 / 1)};
  std::chrono::microseconds clock_{0};
  Ledger::TimePoint now_{1000h};

  static bool is_ours(std::string_view name, bool) { return name == "bash"; }
  Ledger full_{is_ours, kMaxIdle, {1, 2}};
  Ledger part_{is_ours, kMaxIdle, {3, 4}};

  bool connected_ = false;
  bool reading_ = false;
  bool whole_ = false;   // the history was read since the stream opened
  bool failed_ = false;  // ... broke off when it was read last
  std::size_t stream_began_ = 0;
  std::size_t stream_at_ = 0;
  std::size_t history_at_ = 0;
  std::optional<ServiceTime> from_;

  std::vector<Fate> fates_;  // by call
  std::map<std::size_t, bool> verdicts_;
  std::map<std::string, std::vector<std::size_t>> lanes_;
  bool over_ = false;
};

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value && *value ? std::strtoull(value, nullptr, 10) : otherwise;
}

}  // namespace

TEST_CASE("ledger: whatever happens in whatever order, each call is run rightly, and the end comes in time") {
  const auto only = from_environment("LEDGER_SEED", 0);
  const auto runs = from_environment("LEDGER_RUNS", 100'000);
  const auto first = only ? only : 1;
  const auto last = only ? only : runs;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    try {
      Life(seed, only != 0).live();
    } catch (const Broken& broken) {
      FAIL("LEDGER_SEED=", seed, ": ", std::string(broken.what()));
    }
  }
}
