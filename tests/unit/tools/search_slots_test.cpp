#include "tools/search_slots.hpp"

#include <doctest/doctest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <map>
#include <string>

namespace asio = boost::asio;
using sandbox_worker::tools::SearchSlots;

namespace {

/// Searches that last until they are let go.
struct Searches {
  SearchSlots slots{2};
  asio::io_context io;
  std::map<std::string, SearchSlots::Slot> running;
  std::string log;
  std::map<std::string, asio::cancellation_signal> signals;

  void begin(const std::string& name) {
    asio::co_spawn(
        io,
        [](Searches& all, std::string name) -> asio::awaitable<void> {
          auto slot = co_await all.slots.take();
          all.log += slot ? "+" : "-";
          all.log += name;
          if (slot) all.running.emplace(std::move(name), std::move(*slot));
        }(*this, name),
        asio::bind_cancellation_slot(signals[name].slot(), [](std::exception_ptr error) { CHECK(!error); }));
    settle();
  }
  void end(const std::string& name) {
    CHECK(running.erase(name) == 1);
    settle();
  }
  void cancel(const std::string& name) { signals[name].emit(asio::cancellation_type::terminal); }
  void settle() {
    io.restart();
    io.poll();
  }
};

}  // namespace

TEST_CASE("search slots: so many run at once, the others in their order") {
  Searches searches;
  for (const auto* name : {"a", "b", "c", "d", "e"}) searches.begin(name);
  CHECK(searches.log == "+a+b");
  searches.end("b");
  CHECK(searches.log == "+a+b+c");
  searches.end("a");
  searches.end("c");
  CHECK(searches.log == "+a+b+c+d+e");
  searches.end("d");
  searches.begin("f");
  CHECK(searches.log == "+a+b+c+d+e+f");
  searches.running.clear();
}

TEST_CASE("search slots: one that waits can be cancelled, and takes nobody's turn") {
  Searches searches;
  for (const auto* name : {"a", "b", "c", "d"}) searches.begin(name);
  searches.cancel("c");
  searches.settle();
  CHECK(searches.log == "+a+b-c");
  searches.end("a");
  CHECK(searches.log == "+a+b-c+d");
  // Cancelled in the moment in which its turn comes.
  searches.begin("e");
  asio::post(searches.io, [&] {
    searches.running.erase("b");
    searches.cancel("e");
  });
  searches.settle();
  CHECK(searches.log == "+a+b-c+d-e");
  searches.begin("f");
  CHECK(searches.log == "+a+b-c+d-e+f");
  searches.running.clear();
}
