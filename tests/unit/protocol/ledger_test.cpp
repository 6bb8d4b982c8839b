#include "protocol/ledger.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace sandbox_worker::protocol;
using namespace std::chrono_literals;

namespace {

const Ledger::TimePoint t0 = Ledger::TimePoint() + 1000h;

ToolUse use(std::string id, Permission permission = Permission::allow, std::string thread = "") {
  ToolUse call;
  call.id = std::move(id);
  call.name = "bash";
  call.input = nlohmann::json::object();
  call.permission = permission;
  call.thread = std::move(thread);
  return call;
}

ToolUse foreign(std::string id) {
  auto call = use(std::move(id));
  call.name = "theirs";
  return call;
}

StatusIdle idle(std::string id) {
  return {std::move(id), false};
}

/// "run a", "skip a" (answered as interrupted), "recall a" (begun before), "cancel a", "drop a", "end"
std::vector<std::string> words(const Ledger::Actions& actions) {
  std::vector<std::string> result;
  for (const auto& action : actions) {
    if (const auto* run = std::get_if<Ledger::Run>(&action)) {
      result.push_back((run->begun_before ? "recall " : run->interrupted ? "skip " : "run ") + run->call.id);
    } else if (const auto* cancel = std::get_if<Ledger::Cancel>(&action)) {
      result.push_back("cancel " + cancel->id);
    } else if (const auto* drop = std::get_if<Ledger::Drop>(&action)) {
      result.push_back("drop " + drop->id);
    } else {
      result.emplace_back("end");
    }
  }
  return result;
}

using Words = std::vector<std::string>;

Ledger make() {
  return Ledger([](std::string_view name, bool custom) { return name == "bash" && !custom; }, 60s, {1, 2});
}

Ledger attached(std::vector<Event> history = {}) {
  auto ledger = make();
  ledger.begin_attach();
  for (auto& event : history) ledger.on_history(std::move(event));
  ledger.end_attach(true, t0);
  return ledger;
}

}  // namespace

TEST_CASE("ledger: a call runs once, however often it is seen") {
  auto ledger = attached();
  CHECK(words(ledger.on_live(use("a"), t0)) == Words{"run a"});
  CHECK(words(ledger.on_live(use("a"), t0)).empty());
  ledger.on_closed("a", t0);
  CHECK(words(ledger.on_live(use("a"), t0)).empty());
  ledger.on_detached(t0);
  ledger.begin_attach();
  ledger.on_history(use("a"));
  CHECK(words(ledger.end_attach(true, t0)).empty());
}

TEST_CASE("ledger: nothing runs before the history is read, then the oldest first") {
  auto ledger = make();
  ledger.begin_attach();
  CHECK(words(ledger.on_live(use("new"), t0)).empty());
  CHECK(words(ledger.on_live(use("newer"), t0)).empty());
  ledger.on_history(use("answered"));
  ledger.on_history(ToolAnswered{"answered"});
  ledger.on_history(use("old"));
  ledger.on_history(use("new"));
  CHECK(words(ledger.end_attach(true, t0)) == Words{"run old", "run new", "run newer"});
}

TEST_CASE("ledger: permission, with the confirmation before or after the call, live or in the history") {
  const Confirmation allow{"a", true};
  const Confirmation deny{"a", false};
  struct Row {
    std::vector<Event> history;
    std::vector<Event> live;
    Words last;
  };
  const Row rows[] = {
      {{}, {use("a", Permission::ask)}, {}},
      {{}, {use("a", Permission::ask), allow}, {"run a"}},
      {{}, {use("a", Permission::ask), deny}, {"drop a"}},
      {{}, {allow, use("a", Permission::ask)}, {"run a"}},
      {{}, {deny, use("a", Permission::ask)}, {"drop a"}},
      {{}, {use("a", Permission::deny)}, {"drop a"}},
      {{}, {use("a", Permission::deny), allow}, {}},
      {{}, {allow, use("a", Permission::deny)}, {"drop a"}},
      {{use("a", Permission::ask)}, {allow}, {"run a"}},
      {{allow}, {use("a", Permission::ask)}, {"run a"}},
      {{use("a", Permission::ask), deny}, {allow}, {}},
      {{}, {use("a", Permission::ask), ToolAnswered{"a"}, allow}, {}},
  };
  for (const auto& row : rows) {
    auto ledger = attached(row.history);
    Words last;
    for (const auto& event : row.live) last = words(ledger.on_live(event, t0));
    CHECK(last == row.last);
  }
}

TEST_CASE("ledger: a tool that isn't ours is left alone") {
  auto ledger = attached();
  CHECK(words(ledger.on_live(foreign("a"), t0)).empty());
  auto custom = use("b");
  custom.custom = true;
  CHECK(words(ledger.on_live(custom, t0)).empty());
  ledger.on_live(idle("e"), t0);
  CHECK(ledger.idle_deadline() == t0 + 60s);
}

TEST_CASE("ledger: an interrupt covers what came before it, of its thread") {
  auto ledger = attached();
  ledger.on_live(use("a", Permission::allow, "t1"), t0);
  ledger.on_live(use("b", Permission::allow, "t2"), t0);
  CHECK(words(ledger.on_live(Interrupt{"t1"}, t0)) == Words{"cancel a"});
  CHECK(words(ledger.on_live(Interrupt{}, t0)) == Words{"cancel b"});
  CHECK(words(ledger.on_live(use("c", Permission::allow, "t1"), t0)) == Words{"run c"});

  auto fresh = make();
  fresh.begin_attach();
  fresh.on_history(use("old"));
  fresh.on_history(Interrupt{});
  fresh.on_history(use("later"));
  CHECK(words(fresh.end_attach(true, t0)) == Words{"skip old", "run later"});
}

TEST_CASE("ledger: a thread that ended runs nothing any more") {
  auto ledger = attached();
  ledger.on_live(use("held", Permission::ask, "t"), t0);
  CHECK(words(ledger.on_live(ThreadTerminated{"t"}, t0)) == Words{"drop held"});
  CHECK(words(ledger.on_live(use("late", Permission::allow, "t"), t0)) == Words{"drop late"});
  CHECK(words(ledger.on_live(use("other"), t0)) == Words{"run other"});
}

TEST_CASE("ledger: an end is an end, live or in the history") {
  auto ledger = attached();
  CHECK(words(ledger.on_live(SessionEnded{}, t0)) == Words{"end"});
  auto other = make();
  other.begin_attach();
  other.on_history(use("a"));
  other.on_history(SessionEnded{});
  CHECK(words(other.end_attach(true, t0)) == Words{"end"});
}

TEST_CASE("ledger: an answer of another client stops the call") {
  auto ledger = attached();
  ledger.on_live(use("a"), t0);
  CHECK(words(ledger.on_live(ToolAnswered{"a"}, t0)) == Words{"cancel a"});
  CHECK(ledger.is_closed("a"));
}

TEST_CASE("ledger: the idle countdown waits for calls, and starts whole afterwards") {
  auto ledger = attached();
  ledger.on_live(idle("e"), t0);
  CHECK(ledger.idle_deadline() == t0 + 60s);
  ledger.on_live(Confirmation{"x", true}, t0 + 1s);
  CHECK(ledger.idle_deadline() == t0 + 60s);
  ledger.on_live(OtherEvent{"agent.message"}, t0 + 2s);
  CHECK_FALSE(ledger.idle_deadline());

  ledger.on_live(use("a"), t0 + 3s);
  ledger.on_live(idle("f"), t0 + 4s);
  CHECK_FALSE(ledger.idle_deadline());
  ledger.on_closed("a", t0 + 10s);
  CHECK(ledger.idle_deadline() == t0 + 70s);
  CHECK_FALSE(attached({StatusIdle{"e", true}}).idle_deadline());
}

TEST_CASE("ledger: the answer to a call that outlived an idle cancels its countdown, until the next idle") {
  auto ledger = attached({});
  ledger.on_live(use("a"), t0);
  ledger.on_live(idle("e"), t0 + 1s);
  CHECK_FALSE(ledger.idle_deadline());
  ledger.on_closed("a", t0 + 10s);  // the service has our result
  CHECK(ledger.idle_deadline() == t0 + 70s);
  ledger.on_live(ToolAnswered{"a"}, t0 + 11s);
  CHECK_FALSE(ledger.idle_deadline());
  ledger.on_live(idle("f"), t0 + 12s);
  CHECK(ledger.idle_deadline() == t0 + 72s);
}

TEST_CASE("ledger: an idle in the history counts when nothing is open, and goes on over a reconnect") {
  CHECK(attached({use("a"), ToolAnswered{"a"}, idle("e")}).idle_deadline() == t0 + 60s);
  CHECK_FALSE(attached({foreign("a"), idle("e")}).idle_deadline());
  CHECK_FALSE(attached({idle("e"), OtherEvent{"x"}}).idle_deadline());

  auto ledger = attached({idle("e")});
  ledger.on_detached(t0 + 20s);
  CHECK_FALSE(ledger.idle_deadline());
  ledger.begin_attach();
  ledger.on_history(idle("e"));
  ledger.end_attach(true, t0 + 30s);
  CHECK(ledger.idle_deadline() == t0 + 60s);
  ledger.on_detached(t0 + 40s);
  ledger.begin_attach();
  ledger.on_history(idle("other"));
  ledger.end_attach(true, t0 + 50s);
  CHECK(ledger.idle_deadline() == t0 + 110s);
}

TEST_CASE("ledger: what only the history says of a call that was given out reaches it") {
  struct Row {
    Event said;
    Words at_once;
  };
  const Row rows[] = {
      {ToolAnswered{"a"}, {"cancel a"}}, {ThreadTerminated{"t"}, {"cancel a"}},
      {Interrupt{"t"}, {"cancel a"}},    {Interrupt{"other"}, {}},
      {Confirmation{"a", false}, {}},
  };
  for (const auto& row : rows) {
    auto ledger = attached();
    REQUIRE(words(ledger.on_live(use("a", Permission::allow, "t"), t0)) == Words{"run a"});
    ledger.on_detached(t0);
    ledger.begin_attach();
    CHECK(words(ledger.on_history(use("a", Permission::allow, "t"))).empty());
    CHECK(words(ledger.on_history(row.said)) == row.at_once);
    CHECK(words(ledger.end_attach(true, t0)).empty());
  }
}

TEST_CASE("ledger: a history that breaks off releases only what came on the stream") {
  auto ledger = make();
  ledger.begin_attach();
  ledger.on_history(use("old"));  // its answer may be on the next page
  ledger.on_history(use("held", Permission::ask));
  ledger.on_live(use("new"), t0);
  CHECK(words(ledger.end_attach(false, t0)) == Words{"run new"});
  CHECK(words(ledger.on_live(use("newer"), t0)) == Words{"run newer"});
  CHECK(words(ledger.on_live(Confirmation{"held", true}, t0)).empty());

  // It may hang for long when it is read once more, and what comes on the stream goes on.
  ledger.begin_history();
  CHECK(words(ledger.on_live(use("newest"), t0)) == Words{"run newest"});
  CHECK(words(ledger.on_live(use("asks", Permission::ask), t0)).empty());
  CHECK(
      words(ledger.on_live(Confirmation{"asks", true}, t0)).empty());  // the history may have another verdict
  CHECK(words(ledger.on_live(Interrupt{std::nullopt, "i"}, t0)).size() == 3);  // new, newer and newest
  CHECK(words(ledger.on_live(use("last"), t0)) == Words{"run last"});
  ledger.on_history(use("old"));
  ledger.on_history(use("held", Permission::ask));
  ledger.on_history(ToolAnswered{"old"});
  CHECK(words(ledger.end_attach(true, t0)) == Words{"skip held", "skip asks"});

  // The next stream begins anew.
  ledger.on_detached(t0);
  ledger.begin_attach();
  CHECK(words(ledger.on_live(use("waits"), t0)).empty());
  CHECK(words(ledger.end_attach(true, t0)) == Words{"run waits"});
}

TEST_CASE("ledger: after a gap in what was heard, an old idle ends nothing until the history is read") {
  auto ledger = attached({idle("e")});
  ledger.on_detached(t0 + 1s);
  ledger.begin_attach();
  ledger.end_attach(false, t0 + 2s);
  CHECK_FALSE(ledger.idle_deadline());
  ledger.on_live(Confirmation{"x", true}, t0 + 2s);
  CHECK_FALSE(ledger.idle_deadline());
  ledger.begin_history();
  ledger.on_history(idle("e"));
  ledger.end_attach(true, t0 + 3s);
  CHECK(ledger.idle_deadline() == t0 + 60s);

  auto told = attached();
  told.on_detached(t0);
  told.begin_attach();
  told.end_attach(false, t0);
  told.on_live(idle("f"), t0 + 5s);
  CHECK(told.idle_deadline() == t0 + 65s);
}

TEST_CASE("ledger: until a history was read, the end of a thread cancels the countdown") {
  auto ledger = make();
  ledger.begin_attach();
  ledger.end_attach(false, t0);
  ledger.on_live(idle("e"), t0);
  CHECK(ledger.idle_deadline() == t0 + 60s);
  ledger.on_live(ThreadTerminated{"t"}, t0);
  CHECK_FALSE(ledger.idle_deadline());

  auto read = attached({idle("e")});
  read.on_live(ThreadTerminated{"t"}, t0);
  CHECK(read.idle_deadline() == t0 + 60s);
}

TEST_CASE("ledger: a foreign call stops counting when it is answered, not confirmed, or its thread ends") {
  auto call = foreign("a");
  call.thread = "t";
  call.permission = Permission::ask;
  const Event ends[] = {ToolAnswered{"a"}, Confirmation{"a", false}, ThreadTerminated{"t"}};
  for (const auto& end : ends) {
    CHECK(attached({call, end, idle("e")}).idle_deadline() == t0 + 60s);
    CHECK(attached({end, call, idle("e")}).idle_deadline() == t0 + 60s);
  }
  CHECK_FALSE(attached({call, Confirmation{"a", true}, idle("e")}).idle_deadline());
}

TEST_CASE("ledger: an interrupt covers what was allowed before it, wherever it is seen") {
  const auto ask = use("a", Permission::ask);
  const Confirmation allow{"a", true, "e1"};
  const Interrupt interrupt{std::nullopt, "e2"};
  struct Row {
    std::vector<Event> history;
    std::vector<Event> live;  // while the history is read
    Words last;
  };
  const Row rows[] = {
      {{ask, allow, interrupt}, {}, {"skip a"}},     {{ask, interrupt, allow}, {}, {"run a"}},
      {{allow, ask, interrupt}, {}, {"skip a"}},     {{}, {ask, allow, interrupt}, {"skip a"}},
      {{}, {ask, interrupt, allow}, {"run a"}},      {{ask}, {allow, interrupt}, {"skip a"}},
      {{ask}, {interrupt, allow}, {"run a"}},        {{ask, interrupt, allow}, {interrupt, allow}, {"run a"}},
      {{ask, interrupt, allow}, {allow}, {"run a"}}, {{ask, allow, interrupt}, {interrupt}, {"skip a"}},
      {{use("a")}, {interrupt}, {"skip a"}},         {{interrupt, use("a")}, {interrupt}, {"run a"}},
  };
  for (const auto& row : rows) {
    auto ledger = make();
    ledger.begin_attach();
    for (const auto& event : row.live) ledger.on_live(event, t0);
    for (const auto& event : row.history) ledger.on_history(event);
    CHECK(words(ledger.end_attach(true, t0)) == row.last);
  }
}

TEST_CASE("ledger: an interrupt of a held call is not found again after a reconnect") {
  for (const bool confirmed_first : {false, true}) {
    auto ledger = make();
    const std::vector<Event> story =
        confirmed_first ? std::vector<Event>{Interrupt{}, Confirmation{"a", true}, use("a", Permission::ask)}
                        : std::vector<Event>{use("a", Permission::ask), Interrupt{}, Confirmation{"a", true}};
    ledger.begin_attach();
    for (const auto& event : story) ledger.on_history(event);
    CHECK(words(ledger.end_attach(true, t0)) == Words{"run a"});
    ledger.on_detached(t0);
    ledger.begin_attach();
    for (const auto& event : story) CHECK(words(ledger.on_history(event)).empty());
    CHECK(words(ledger.end_attach(true, t0)).empty());
  }
}

TEST_CASE("ledger: the first verdict counts, as the session has it") {
  auto ledger = make();
  ledger.begin_attach();
  ledger.on_live(use("a", Permission::ask), t0);
  ledger.on_live(Confirmation{"a", true, "e2"}, t0);
  ledger.on_history(use("a", Permission::ask));
  CHECK(words(ledger.on_history(Confirmation{"a", false, "e1"})) == Words{"drop a"});
  ledger.on_history(Confirmation{"a", true, "e2"});
  CHECK(words(ledger.end_attach(true, t0)).empty());
}

TEST_CASE("ledger: pings say nothing") {
  auto ledger = attached({idle("e")});
  ledger.on_live(OtherEvent{"ping"}, t0 + 1s);
  CHECK(ledger.idle_deadline() == t0 + 60s);
}

TEST_CASE("ledger: the history is read again from the oldest open call, or the last event about idleness") {
  const ServiceTime s0 = std::chrono::sys_days(std::chrono::year(2026) / 1 / 1);
  const auto start = [&](Ledger& ledger) {
    ledger.begin_attach();
    CHECK_FALSE(ledger.history_from());
    ledger.on_history(OtherEvent{"x"}, s0 + 100s);
    ledger.end_attach(true, t0);
    ledger.on_live(Confirmation{"q", true}, t0, s0 + 105s);
    ledger.on_live(idle("e"), t0, s0 + 110s);
    ledger.on_live(Confirmation{"r", true}, t0, s0 + 120s);
  };
  auto ledger = make();
  start(ledger);
  CHECK(ledger.history_from() == s0 + 108s);  // 2 s before the idle
  ledger.on_live(use("a"), t0, s0 + 130s);
  ledger.on_live(OtherEvent{"y"}, t0, s0 + 140s);
  CHECK(ledger.history_from() == s0 + 128s);
  ledger.on_closed("a", t0);
  CHECK(ledger.history_from() == s0 + 138s);

  // What came on a stream whose history was not read is not a place to begin at.
  ledger.on_detached(t0);
  ledger.begin_attach();
  ledger.on_live(OtherEvent{"z"}, t0, s0 + 200s);
  ledger.end_attach(false, t0);
  CHECK(ledger.history_from() == s0 + 138s);
  ledger.begin_history();
  ledger.end_attach(true, t0);
  CHECK(ledger.history_from() == s0 + 198s);

  ledger.on_live(OtherEvent{"ping"}, t0);
  CHECK(ledger.history_from());
  ledger.on_live(OtherEvent{"no time"}, t0);
  CHECK_FALSE(ledger.history_from());
}

TEST_CASE("ledger: what a worker before us has begun is answered, never run") {
  auto ledger = make();
  for (const auto* id : {"open", "answered", "held", "interrupted", "live"}) ledger.remember_begun(id);
  ledger.begin_attach();
  ledger.on_history(use("open"));
  ledger.on_history(use("answered"));
  ledger.on_history(ToolAnswered{"answered"});
  ledger.on_history(use("held", Permission::ask));
  ledger.on_history(use("new"));
  CHECK(words(ledger.end_attach(true, t0)) == Words{"recall open", "run new"});
  CHECK(words(ledger.on_live(Confirmation{"held", true}, t0)) == Words{"recall held"});
  CHECK(words(ledger.on_live(use("answered"), t0)).empty());
  CHECK(words(ledger.on_live(use("live"), t0)) == Words{"recall live"});
}

TEST_CASE("ledger: an interrupt of a call that was begun before changes nothing about it") {
  auto ledger = make();
  ledger.remember_begun("a");
  ledger.begin_attach();
  ledger.on_history(use("a"));
  ledger.on_history(use("b"));
  ledger.on_history(Interrupt{});
  CHECK(words(ledger.end_attach(true, t0)) == Words{"recall a", "skip b"});
}
