#include "worker/client/service.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/unit/worker/service_fixture.hpp"

using namespace sandbox_worker::tests;
using namespace sandbox_worker::worker;
using namespace std::chrono_literals;

namespace {

// A moment, so that no test waits for the policy's own delays.
constexpr const char* kSoon = "retry-after-ms: 1\r\n";
constexpr const char* kSession = R"({"id":"sesn_1","status":"running"})";

template <class Make>
auto run_on(ServiceUnderTest& under_test, Make make) {
  return run(under_test.client.io, make);
}

auto read_history(ServiceUnderTest& under_test) {
  return run_on(under_test, [&] {
    return under_test.service.history(std::nullopt,
                                      {.on_event = [](const sandbox_worker::protocol::TimedEvent&) {}});
  });
}

}  // namespace

TEST_CASE("service: a plain call is tried again twice, for the statuses that pass") {
  for (const char* status : {"408 Request Timeout", "409 Conflict", "429 Too Many Requests",
                             "500 Internal Server Error", "503 Service Unavailable", "529 Overloaded"}) {
    CAPTURE(status);
    ScriptedService server({status_answer(status, kSoon), status_answer(status, kSoon), answer(kSession)});
    ServiceUnderTest under_test(server.url());
    const auto session = run_on(under_test, [&] { return under_test.service.session(); });
    REQUIRE(session);
    CHECK(!session->terminated);
    CHECK(server.requests() == std::vector<std::string>(3, "GET /v1/sessions/sesn_1"));
  }
  ScriptedService server(
      {status_answer("503 Service Unavailable", kSoon), status_answer("503 Service Unavailable", kSoon),
       status_answer("503 Service Unavailable", kSoon, R"({"error":{"message":"busy"}})")});
  ServiceUnderTest under_test(server.url());
  const auto session = run_on(under_test, [&] { return under_test.service.session(); });
  REQUIRE(!session);
  CHECK(!session.error().fatal);
  CHECK(session.error().status == 503);
  CHECK(session.error().message == "status 503: busy");
  CHECK(session.error().retry_after == 1ms);
  CHECK(server.requests().size() == 3);
}

TEST_CASE("service: other refusals are fatal at once, and x-should-retry decides either way") {
  struct Row {
    std::string first;
    bool fatal;
    std::size_t requests;
  };
  const std::string soon = kSoon;
  for (const auto& row :
       {Row{status_answer("401 Unauthorized", "request-id: req_7\r\n", R"({"error":{"message":"no"}})"), true,
            1},
        Row{status_answer("404 Not Found"), true, 1},
        Row{status_answer("500 Internal Server Error", "x-should-retry: false\r\n"), true, 1},
        Row{status_answer("400 Bad Request", soon + "x-should-retry: true\r\n"), false, 2}}) {
    CAPTURE(row.first);
    ScriptedService server({row.first, answer(kSession)});
    ServiceUnderTest under_test(server.url());
    const auto session = run_on(under_test, [&] { return under_test.service.session(); });
    CHECK(session.has_value() == !row.fatal);
    if (!session) CHECK(session.error().fatal);
    if (!session && session.error().status == 401) CHECK(session.error().message == "status 401: no (req_7)");
    CHECK(server.requests().size() == row.requests);
  }
}

TEST_CASE("service: stopping what has stopped already is fine") {
  ScriptedService server({status_answer("409 Conflict"), status_answer("204 No Content")});
  ServiceUnderTest under_test(server.url());
  CHECK(run_on(under_test, [&] { return under_test.service.stop_work(); }).has_value());
  CHECK(run_on(under_test, [&] { return under_test.service.stop_work(); }).has_value());
  CHECK(server.requests() == std::vector<std::string>(2, "POST /v1/environments/env_1/work/work_1/stop"));
}

TEST_CASE("service: a success whose body is no object, such as a portal's page, is no success") {
  for (const auto* body : {"<html>Welcome</html>", "{\"type\": \"cut\", ", "null"}) {
    CAPTURE(body);
    ScriptedService server({answer(body), answer(body), answer(" {\"id\": \"work_1\"}\n")});
    ServiceUnderTest under_test(server.url());
    const auto posted = run_on(under_test, [&] { return under_test.service.post({}); });
    REQUIRE(!posted);
    CHECK(!posted.error().fatal);
    CHECK(posted.error().may_have_acted);
    CHECK(run_on(under_test, [&] { return under_test.service.stop_work(); }).has_value());
    CHECK(server.requests().size() == 3);
  }
}

TEST_CASE("service: a post and a heartbeat are one attempt each") {
  ScriptedService server(
      {status_answer("503 Service Unavailable", kSoon),
       status_answer("503 Service Unavailable", kSoon, R"({"error":{"message":"busy"}})")});
  ServiceUnderTest under_test(server.url());
  const auto posted = run_on(under_test, [&] { return under_test.service.post(R"({"events":[]})"); });
  REQUIRE(!posted);
  CHECK(!posted.error().fatal);
  bool sent = false;
  const auto beat =
      run_on(under_test, [&] { return under_test.service.heartbeat("", 5s, [&] { sent = true; }); });
  CHECK(sent);
  CHECK(beat.kind == BeatAnswer::Kind::failure);
  CHECK(beat.answer_lost);  // it may have come from a gateway
  CHECK(beat.message == "status 503: busy");
  CHECK(server.requests().size() == 2);
}

TEST_CASE("service: what a heartbeat's answers mean") {
  struct Row {
    std::string answer;
    BeatAnswer::Kind kind;
    bool lost;
    std::chrono::milliseconds limit = 5s;
  };
  for (const auto& row :
       {Row{answer(R"({"lease_extended":true,"last_heartbeat":"b"})"), BeatAnswer::Kind::reply, false},
        Row{answer("{half"), BeatAnswer::Kind::failure, true},
        Row{status_answer("412 Precondition Failed"), BeatAnswer::Kind::conflict, false},
        Row{status_answer("401 Unauthorized"), BeatAnswer::Kind::refused, false},
        Row{status_answer("404 Not Found"), BeatAnswer::Kind::refused, false},
        Row{status_answer("425 Too Early"), BeatAnswer::Kind::failure, false},
        Row{status_answer("429 Too Many Requests"), BeatAnswer::Kind::failure, false},
        Row{"", BeatAnswer::Kind::failure, true},  // it hangs up
        Row{"HTTP/1.1 200 OK\r\ncontent-le", BeatAnswer::Kind::failure, true, 200ms}}) {
    CAPTURE(row.answer);
    ScriptedService server({row.answer});
    ServiceUnderTest under_test(server.url());
    const auto beat = run_on(under_test, [&] { return under_test.service.heartbeat("a", row.limit, [] {}); });
    CHECK(beat.kind == row.kind);
    CHECK(beat.answer_lost == row.lost);
    CHECK(beat.message.empty() == (row.kind == BeatAnswer::Kind::reply));
  }
}

TEST_CASE("service: the history is read page by page, a further page's first answer tried again") {
  ScriptedService server(
      {answer(R"({"data":[{"type":"agent.tool_use","id":"a","name":"bash","input":{}}],"next_page":"p/2"})"),
       status_answer("503 Service Unavailable", kSoon), answer(R"({"data":[],"next_page":"p3"})"),
       answer(R"({"data":[{"type":"agent.tool_use","id":"b","name":"bash","input":{}}],"next_page":null})")});
  ServiceUnderTest under_test(server.url());
  std::size_t events = 0;
  std::size_t decoded = 0;
  const auto read = run_on(under_test, [&] {
    return under_test.service.history(
        std::nullopt, {.on_event = [&](const sandbox_worker::protocol::TimedEvent&) { ++events; },
                       .on_skipped = [](const std::string& why) { FAIL(why); },
                       .on_decoded = [&](sandbox_worker::protocol::TimedEvent&) { ++decoded; }});
  });
  CHECK(read.has_value());
  CHECK(events == 2);
  CHECK(decoded == 2);
  const std::string base = "GET /v1/sessions/sesn_1/events?limit=1000";
  CHECK(server.requests() ==
        std::vector<std::string>{base, base + "&page=p%2F2", base + "&page=p%2F2", base + "&page=p3"});
}

TEST_CASE("service: a page that breaks off, or isn't one, is a failure that may pass") {
  for (const auto& page : {std::string("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"data\":["),
                           answer("{\"data\":["), answer("<html>"), answer("{}")}) {
    CAPTURE(page);
    ScriptedService server({page});
    ServiceUnderTest under_test(server.url());
    const auto read = read_history(under_test);
    REQUIRE(!read);
    CHECK(!read.error().fatal);
  }
}

TEST_CASE("service: a history whose pages turn in a circle is a failure that may pass") {
  for (const std::size_t length : {1U, 2U, 3U}) {
    CAPTURE(length);
    std::deque<std::string> pages;
    for (std::size_t i = 0; i < 20; ++i) {
      pages.push_back(answer(R"({"data":[],"next_page":"p)" + std::to_string(i % length) + "\"}"));
    }
    ScriptedService server(std::move(pages));
    ServiceUnderTest under_test(server.url());
    const auto read = read_history(under_test);
    REQUIRE(!read);
    CHECK(!read.error().fatal);
    CHECK(read.error().message == "the history's pages lead back to a page before");
    CHECK(server.requests().size() <= 3 * length + 1);
  }
}

TEST_CASE("service: only an event stream is taken for one") {
  ScriptedService server({status_answer("200 OK", "content-type: text/html\r\n", "hello"),
                          status_answer("200 OK", "Content-Type: text/event-stream; charset=utf-8\r\n"),
                          status_answer("403 Forbidden")});
  ServiceUnderTest under_test(server.url());
  const auto open = [&] { return run_on(under_test, [&] { return under_test.service.open_stream(); }); };
  const auto page = open();
  REQUIRE(!page);
  CHECK(!page.error().fatal);
  CHECK(page.error().message == "the stream's answer is not an event stream");
  CHECK(open().has_value());
  const auto refused = open();
  REQUIRE(!refused);
  CHECK(refused.error().fatal);
}
