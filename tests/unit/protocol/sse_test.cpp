#include "protocol/sse.hpp"

#include <doctest/doctest.h>

#include <initializer_list>
#include <string>
#include <vector>

using sandbox_worker::protocol::SseDecoder;
using sandbox_worker::protocol::SseEvent;

namespace {

constexpr std::size_t kLimit = 1000;

/// One line for each event: name|data.
std::vector<std::string> events_of(std::initializer_list<std::string_view> pieces,
                                   std::size_t limit = kLimit) {
  SseDecoder decoder(limit);
  std::vector<std::string> events;
  for (const auto piece : pieces) {
    decoder.feed(piece, [&](SseEvent event) {
      events.push_back(event.oversized ? event.name + "|oversized" : event.name + "|" + event.data);
    });
  }
  return events;
}

using Events = std::vector<std::string>;

}  // namespace

TEST_CASE("sse: fields, lines and comments") {
  struct Row {
    std::string_view wire;
    Events events;
  };
  const Row rows[] = {
      {"data: x\n\n", {"|x"}},
      {"data:x\n\n", {"|x"}},
      {"data:  x\n\n", {"| x"}},
      {"event: ping\ndata: {}\n\n", {"ping|{}"}},
      {"event: ping\n\n", {}},
      {"event: a\n\ndata: x\n\n", {"|x"}},
      {"data: a\ndata: b\n\n", {"|a\nb"}},
      {"data\n\n", {"|"}},
      {"data:\ndata:\n\n", {"|\n"}},
      {": comment\n\n", {}},
      {":\ndata: x\n\n", {"|x"}},
      {"id: 1\nretry: 5\nunknown: y\ndata: x\n\n", {"|x"}},
      {"data: x\r\n\r\n", {"|x"}},
      {"data: x\r\rdata: y\r\r", {"|x", "|y"}},
      {"data: x\n\r\n", {"|x"}},
      {"\xEF\xBB\xBF"
       "data: x\n\n",
       {"|x"}},
      {"data: x", {}},
      {"data: x\n", {}},
      {"\n\n\n", {}},
  };
  for (const auto& row : rows) CHECK_MESSAGE(events_of({row.wire}) == row.events, row.wire);
}

TEST_CASE("sse: cut at every byte, the events are the same") {
  const std::string_view wire =
      "\xEF\xBB\xBF: hello\r\nevent: message\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\ndata: y\n\n\revent: "
      "z\rdata: w\r\r";
  const auto whole = events_of({wire});
  REQUIRE(whole.size() == 3);
  for (std::size_t a = 0; a <= wire.size(); ++a) {
    for (std::size_t b = a; b <= wire.size(); ++b) {
      CHECK(events_of({wire.substr(0, a), wire.substr(a, b - a), wire.substr(b)}) == whole);
    }
  }
}

TEST_CASE("sse: an event over the limit is told, and the next one is whole") {
  const std::string big(100, 'x');
  const auto wire = "event: e\ndata: " + big + "\ndata: more\n\ndata: y\n\n";
  const Events expected{"e|oversized", "|y"};
  CHECK(events_of({wire}, 50) == expected);
  for (std::size_t cut = 0; cut <= wire.size(); ++cut) {
    const std::string_view view = wire;
    CHECK(events_of({view.substr(0, cut), view.substr(cut)}, 50) == expected);
  }
}
