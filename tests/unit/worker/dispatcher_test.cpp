#include "worker/dispatcher.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <set>
#include <string>
#include <vector>

namespace asio = boost::asio;
using namespace sandbox_worker;
using namespace sandbox_worker::worker;
using namespace std::chrono_literals;
using protocol::Ledger;
using Words = std::vector<std::string>;

namespace {

/// Tools whose calls last until they are let go or cancelled. A call's name for the tests is in its input.
struct Bench {
  asio::io_context io;
  const Log log{LogFormat::text, LogLevel::error};
  Words events;
  std::set<std::string> let_go;
  int made = 0;
  int closed = 0;
  std::set<std::string> refused;  // calls that may not begin

  struct Tools final : tools::CallRunner {
    explicit Tools(Bench& owner) : bench(owner), number(++owner.made) {}

    asio::awaitable<tools::ToolResult> run(std::string_view, nlohmann::json input) override {
      const auto id = input.at("id").get<std::string>();
      bench.events.push_back(fmt::format("begin {} on {}", id, number));
      asio::steady_timer wait(bench.io);
      while (!bench.let_go.contains(id)) {
        wait.expires_after(1ms);
        const auto [error] = co_await wait.async_wait(asio::as_tuple(asio::use_awaitable));
        if (error) co_return tools::ToolResult::error("cut");
      }
      co_return tools::ToolResult::text("ran");
    }
    asio::awaitable<void> close() override {
      ++bench.closed;
      co_return;
    }
    void kill() override { ++bench.closed; }

    Bench& bench;
    const int number;
  };

  std::string in_file;                     // the input that is brought back; empty: it can't be
  asio::steady_timer* bringing = nullptr;  // cancelled when it is there
  Dispatcher dispatcher;

  explicit Bench(ShellScope scope = ShellScope::thread)
      : dispatcher(
            io.get_executor(), [this] { return std::make_unique<Tools>(*this); }, hooks(), scope, log) {
    dispatcher.open_gate();
  }

  Dispatcher::Events hooks() {
    Dispatcher::Events hooks;
    hooks.on_begin = [this](const std::string& id) -> std::expected<void, std::string> {
      if (refused.contains(id)) return std::unexpected("no room");
      return {};
    };
    hooks.on_result = [this](protocol::CallResult result) -> asio::awaitable<void> {
      events.push_back(result.call_id + ": " + std::get<protocol::TextBlock>(result.content.at(0)).text);
      co_return;
    };
    hooks.on_dropped = [this](const std::string& id) { events.push_back("drop " + id); };
    hooks.on_begun_before = [this](std::string id, bool) -> asio::awaitable<void> {
      events.push_back(id + ": recalled");
      co_return;
    };
    hooks.bring_back = [this](std::shared_ptr<protocol::KeptInput>)
        -> asio::awaitable<std::expected<nlohmann::json, std::string>> {
      if (in_file.empty()) co_return std::unexpected("no room");
      asio::steady_timer wait(io, std::chrono::steady_clock::time_point::max());
      bringing = &wait;
      boost::system::error_code ignored;
      co_await wait.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      bringing = nullptr;
      co_return nlohmann::json::object({{"id", in_file}});
    };
    return hooks;
  }

  Ledger::Run call(const std::string& id, const std::string& thread = "", const std::string& tool = "bash") {
    Ledger::Run run;
    run.call.id = id;
    run.call.name = tool;
    run.call.thread = thread;
    run.call.input = nlohmann::json::object({{"id", id}});
    return run;
  }
  void add(const std::string& id, const std::string& thread = "", const std::string& tool = "bash") {
    dispatcher.run(call(id, thread, tool));
  }
  bool saw(const std::string& event) const { return std::ranges::find(events, event) != events.end(); }
  /// Runs the loop until `done` holds; false when that takes longer than `limit`.
  bool until(const std::function<bool()>& done, std::chrono::milliseconds limit = 5s) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (!done() && std::chrono::steady_clock::now() < deadline) {
      if (io.stopped()) io.restart();
      io.run_one_for(5ms);
    }
    return done();
  }
  /// What is ready now is done.
  void settle() {
    for (int i = 0; i < 20; ++i) {
      if (io.stopped()) io.restart();
      io.poll();
    }
  }
  void let(const std::string& id) {
    let_go.insert(id);
    REQUIRE(until([&] { return saw(id + ": ran"); }));
    settle();
  }
  Words take() { return std::exchange(events, {}); }
  /// Every lane must be at rest before the bench goes.
  void stop(bool answer = true) {
    bool stopped = false;
    asio::co_spawn(io, dispatcher.stop(answer), [&](std::exception_ptr) { stopped = true; });
    REQUIRE(until([&] { return stopped; }));
  }
};

}  // namespace

TEST_CASE("dispatcher: calls of one thread run in order, those of different threads side by side") {
  Bench bench;
  bench.add("a1", "a");
  bench.add("a2", "a");
  bench.add("b1", "b");
  bench.settle();
  CHECK(bench.take() == Words{"begin a1 on 1", "begin b1 on 2"});
  bench.let("a1");
  CHECK(bench.take() == Words{"a1: ran", "begin a2 on 1"});
  bench.let("b1");
  bench.let("a2");
  bench.stop();
}

TEST_CASE("dispatcher: with one shell for the session bash calls run in order, other tools side by side") {
  Bench bench(ShellScope::session);
  bench.add("bash a", "a");
  bench.add("bash b", "b");
  bench.add("bash c", "c");
  bench.add("read d", "d", "read");
  bench.add("read b", "b", "read");
  bench.settle();
  CHECK(bench.take() == Words{"begin bash a on 1", "begin read d on 2"});
  bench.let("bash a");
  CHECK(bench.take() == Words{"bash a: ran", "begin bash b on 1"});
  bench.let("bash b");  // the thread's own order holds: its read comes after its bash
  const auto events = bench.take();
  CHECK(events.size() == 3);
  CHECK(std::ranges::find(events, "begin bash c on 1") != events.end());
  CHECK(std::ranges::find(events, "begin read b on 3") != events.end());
  for (const auto* id : {"bash c", "read b", "read d"}) bench.let(id);
  bench.stop();
  bool closed = false;
  asio::co_spawn(bench.io, bench.dispatcher.close(), [&](std::exception_ptr) { closed = true; });
  REQUIRE(bench.until([&] { return closed; }));
  CHECK(bench.closed == bench.made);
}

TEST_CASE("dispatcher: an input that is kept elsewhere is brought back when its call's turn has come") {
  class Elsewhere : public protocol::KeptInput {};
  const auto kept_call = [](Bench& bench) {
    auto run = bench.call("kept", "a");
    run.call.input.reset();
    run.call.kept = std::make_shared<Elsewhere>();
    return run;
  };
  SUBCASE("it runs with it") {
    Bench bench;
    bench.in_file = "kept";
    bench.add("first", "a");
    bench.dispatcher.run(kept_call(bench));
    bench.settle();
    CHECK(bench.bringing == nullptr);
    bench.let("first");
    REQUIRE(bench.bringing != nullptr);
    bench.take();
    bench.bringing->cancel();
    bench.settle();
    CHECK(bench.take() == Words{"begin kept on 1"});
    bench.let("kept");
    bench.stop();
  }
  SUBCASE("an interrupt meanwhile keeps it from being run") {
    Bench bench;
    bench.in_file = "kept";
    bench.dispatcher.run(kept_call(bench));
    bench.settle();
    REQUIRE(bench.bringing != nullptr);
    bench.dispatcher.cancel("kept", Ledger::CancelReason::interrupted);
    bench.settle();
    CHECK(bench.take() == Words{"kept: interrupted before it began; it was not run"});
    bench.stop();
  }
  SUBCASE("one that can't be brought back is answered with the reason") {
    Bench bench;
    bench.dispatcher.run(kept_call(bench));
    bench.settle();
    CHECK(bench.take() == Words{"kept: not run: no room"});
    bench.stop();
  }
}

TEST_CASE("dispatcher: an interrupt cuts what runs and answers what waits within a second") {
  for (const auto scope : {ShellScope::thread, ShellScope::session}) {
    Bench bench(scope);
    bench.add("running", "a");
    bench.add("queued", "a");
    bench.add("other", "b");
    bench.settle();
    bench.take();
    for (const auto* id : {"running", "queued"})
      bench.dispatcher.cancel(id, Ledger::CancelReason::interrupted);
    CHECK(bench.until([&] { return bench.saw("running: cut") && bench.events.size() >= 2; }, 1s));
    CHECK(bench.saw("queued: interrupted before it began; it was not run"));
    CHECK_FALSE(bench.saw("begin queued on 1"));
    bench.let("other");
    bench.stop();
  }
}

TEST_CASE("dispatcher: a call that waits for the shared shell is interrupted without its turn") {
  Bench bench(ShellScope::session);
  bench.add("long", "a");
  bench.add("waiting", "b");
  bench.add("after", "b", "read");
  bench.settle();
  bench.take();
  bench.dispatcher.cancel("waiting", Ledger::CancelReason::interrupted);
  CHECK(bench.until([&] { return bench.saw("begin after on 2"); }, 1s));
  CHECK(bench.take() == Words{"waiting: interrupted before it began; it was not run", "begin after on 2"});
  bench.let("after");
  bench.let("long");
  bench.stop();
}

TEST_CASE("dispatcher: a waiting call that is answered elsewhere, or whose thread ends, doesn't run") {
  for (const auto scope : {ShellScope::thread, ShellScope::session}) {
    for (const auto reason : {Ledger::CancelReason::answered_elsewhere, Ledger::CancelReason::thread_ended}) {
      Bench bench(scope);
      bench.add("long", "a");
      bench.add("same thread", "a");
      bench.add("other thread", scope == ShellScope::session ? "b" : "a");
      bench.add("next", "b");
      bench.settle();
      bench.dispatcher.cancel("same thread", reason);
      bench.dispatcher.cancel("other thread", reason);
      bench.let("long");
      bench.let("next");
      CHECK(bench.saw("drop same thread"));
      CHECK(bench.saw("drop other thread"));
      for (const auto& event : bench.events) {
        CAPTURE(event);
        CHECK_FALSE(event.starts_with("begin same"));
        CHECK_FALSE(event.starts_with("begin other"));
        CHECK_FALSE(event.starts_with("same"));
        CHECK_FALSE(event.starts_with("other"));
      }
      bench.stop();
    }
  }
}

TEST_CASE("dispatcher: a running call that is answered elsewhere is cut, and its result not given") {
  Bench bench;
  bench.add("a");
  bench.settle();
  bench.dispatcher.cancel("a", Ledger::CancelReason::answered_elsewhere);
  CHECK(bench.until([&] { return bench.saw("drop a"); }, 1s));
  CHECK(bench.take() == Words{"begin a on 1", "drop a"});
  bench.stop();
}

TEST_CASE("dispatcher: a running call of a thread that ends is left to finish") {
  Bench bench;
  bench.add("a", "thread");
  bench.settle();
  bench.dispatcher.cancel("a", Ledger::CancelReason::thread_ended);
  bench.let("a");
  CHECK(bench.take() == Words{"begin a on 1", "a: ran"});
  bench.stop();
}

TEST_CASE("dispatcher: what a worker before has begun is answered in its turn, and doesn't run") {
  Bench bench(ShellScope::session);
  bench.add("long", "a");
  auto before = bench.call("before", "b");
  before.begun_before = before.interrupted = true;
  bench.dispatcher.run(std::move(before));
  bench.settle();
  CHECK(bench.take() == Words{"begin long on 1", "before: recalled"});
  bench.let("long");
  bench.stop();
}

TEST_CASE("dispatcher: calls that are answered at once lose none that comes in the same turn of the loop") {
  Bench bench;
  asio::post(bench.io, [&] {
    for (const auto* id : {"a", "b", "c"}) {
      auto run = bench.call(id);
      run.interrupted = true;
      bench.dispatcher.run(std::move(run));
    }
  });
  CHECK(bench.until([&] { return bench.events.size() == 3; }));
  bench.stop();
}

TEST_CASE("dispatcher: a call that may not begin is answered with the reason") {
  Bench bench;
  bench.refused.insert("a");
  bench.add("a");
  bench.add("b");
  bench.let("b");
  CHECK(bench.take() == Words{"a: not run: no room", "begin b on 1", "b: ran"});
  bench.stop();
}

TEST_CASE("dispatcher: stopping cuts what runs and leaves what waits, also for the shared shell") {
  for (const auto scope : {ShellScope::thread, ShellScope::session}) {
    for (const bool answer : {true, false}) {
      Bench bench(scope);
      bench.add("running", "a");
      bench.add("queued", "a");
      if (scope == ShellScope::session) bench.add("waiting", "b");
      bench.settle();
      bench.take();
      bench.stop(answer);
      CHECK(bench.take() == (answer ? Words{"running: cut"} : Words{"drop running"}));
    }
  }
}

TEST_CASE("dispatcher: what a thread had is closed when it has ended and its calls are over") {
  Bench bench;
  bench.add("idle", "idle");
  bench.let("idle");
  bench.add("busy", "busy");
  bench.add("queued", "busy");
  bench.settle();
  bench.dispatcher.end_thread("never seen");
  bench.dispatcher.end_thread("idle");
  bench.dispatcher.cancel("queued", Ledger::CancelReason::thread_ended);
  bench.dispatcher.end_thread("busy");
  bench.settle();
  CHECK(bench.closed == 1);
  bench.let("busy");
  CHECK(bench.closed == 2);
  CHECK(bench.saw("drop queued"));
  bench.stop();
}

TEST_CASE("dispatcher: of many idle threads those with a shell that was not used for longest lose it") {
  constexpr int kThreads = 64;
  Bench bench;
  const auto run = [&](const std::string& id, const std::string& thread, const std::string& tool = "bash") {
    bench.add(id, thread, tool);
    bench.let_go.insert(id);
    REQUIRE(bench.until([&] {
      return std::ranges::any_of(bench.events,
                                 [&](const auto& event) { return event.starts_with(id + ":"); });
    }));
    bench.settle();
  };
  bench.add("long", "busy");
  for (int i = 1; i < kThreads; ++i) run(fmt::format("call {}", i), fmt::format("thread {}", i));
  run("a file is read", "reader", "read");
  CHECK(bench.closed == 0);
  run("again", "thread 1");  // so that another one is the oldest
  run("one more", "one more");
  CHECK(bench.closed == 1);
  bench.take();
  run("first", "thread 1");
  run("second", "thread 2");
  run("second again", "thread 2");
  CHECK(bench.closed == 2);
  const auto text_of = [&](const std::string& id) {
    const auto found =
        std::ranges::find_if(bench.events, [&](const auto& event) { return event.starts_with(id + ":"); });
    return found == bench.events.end() ? "" : found->substr(id.size() + 2);
  };
  CHECK(text_of("first") == "ran");
  CHECK(text_of("second").find("was closed while it was idle") != std::string::npos);
  CHECK(text_of("second").ends_with("\nran"));
  CHECK(text_of("second again") == "ran");
  bench.let("long");
  bench.stop();
}
