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

/// "run a", "skip a" (answered as interrupted), "cancel a", "drop a", "end"
std::vector<std::string> words(const Ledger::Actions& actions) {
  std::vector<std::string> result;
  for (const auto& action : actions) {
    if (const auto* run = std::get_if<Ledger::Run>(&action)) {
      result.push_back((run->interrupted ? "skip " : "run ") + run->call.id);
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
  return Ledger([](std::string_view name, bool custom) { return name == "bash" && !custom; }, 60s);
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
  CHECK(ledger.active() == 0);
}

TEST_CASE("ledger: an interrupt covers what came before it, of its thread") {
  auto ledger = attached();
  ledger.on_live(use("a", Permission::allow, "t1"), t0);
  ledger.on_live(use("b", Permission::allow, "t2"), t0);
  CHECK(words(ledger.on_live(Interrupt{"t1"}, t0)) == Words{"cancel a"});
  CHECK(words(ledger.on_live(Interrupt{}, t0)).size() == 2);
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
  CHECK(ledger.active() == 0);
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
