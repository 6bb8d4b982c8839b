#include "tests/session_server/session_state.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace session_server;
using namespace std::chrono_literals;

namespace {

const Time t0 = Time(1'800'000'000s);

std::string result_for(const std::string& id, bool custom = false) {
  return fmt::format(R"({{"events":[{{"type":"user.{}tool_result","{}tool_use_id":"{}","is_error":false,
    "content":[{{"type":"text","text":"x"}}]}}]}})",
                     custom ? "custom_" : "", custom ? "custom_" : "", id);
}

NewCall bash(const std::string& id) {
  return {.id = id, .name = "bash"};
}

struct Fixture {
  Settings settings;
  SessionState session{settings};

  bool refused(const std::string& id, Time at = t0) {
    const auto outcome = session.post(result_for(id), at);
    CHECK(outcome.reply.status == 400);
    return !outcome.violation.empty();
  }
};

std::vector<std::string> ids(const Reply& reply) {
  std::vector<std::string> found;
  for (auto& event : Json::parse(reply.body)["data"]) found.push_back(event["id"]);
  return found;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "session: a result is stored, echoed and counted") {
  session.call(bash("a"), t0);
  const auto outcome = session.post(result_for("a"), t0 + 1ms);
  CHECK(outcome.reply.status == 200);
  CHECK(outcome.violation == "");
  CHECK(session.find("a")->answers.size() == 1);
  CHECK(session.events().back()["type"] == "user.tool_result");
}

TEST_CASE_FIXTURE(Fixture, "session: results that nobody asked for are violations") {
  session.call({.id = "mcp", .name = "query", .kind = CallKind::mcp}, t0);
  session.call({.id = "custom", .name = "bash", .kind = CallKind::custom}, t0);
  session.call({.id = "foreign", .name = "deploy"}, t0);
  for (const char* id : {"unknown", "mcp", "custom", "foreign"}) {
    CAPTURE(id);
    CHECK(refused(id));
  }
  CHECK(session.post(result_for("custom", true), t0).reply.status == 200);
}

TEST_CASE_FIXTURE(Fixture, "session: what is held or denied may not be answered") {
  session.call({.id = "ask", .name = "bash", .permission = "ask"}, t0);
  session.call({.id = "odd", .name = "bash", .permission = "perhaps"}, t0);
  session.call({.id = "deny", .name = "bash", .permission = "deny"}, t0);
  session.confirm("deny", "allow", t0);
  session.confirm("odd", "maybe", t0);
  CHECK(refused("ask"));
  CHECK(refused("odd"));
  CHECK(refused("deny"));
  session.confirm("ask", "allow", t0);
  CHECK(session.post(result_for("ask"), t0).reply.status == 200);
}

TEST_CASE_FIXTURE(Fixture,
                  "session: a second result is refused, and excused only when the worker could not know") {
  session.call(bash("a"), t0);
  session.call(bash("b"), t0);
  session.call(bash("c"), t0);
  session.post(result_for("a"), t0);
  CHECK(refused("a"));
  session.post(result_for("b"), t0);
  session.post_answer_lost({"b"});
  CHECK(!refused("b"));
  session.answer_elsewhere("c", "y", t0);
  CHECK(!refused("c", t0 + 500ms));
  CHECK(refused("c", t0 + 2s));
}

TEST_CASE("session: a service that takes duplicates stores both") {
  Settings settings;
  settings.session.accept_duplicates = true;
  SessionState session(settings);
  session.call(bash("a"), t0);
  session.post(result_for("a"), t0);
  CHECK(session.post(result_for("a"), t0).reply.status == 200);
  CHECK(session.find("a")->answers.size() == 2);
}

TEST_CASE_FIXTURE(Fixture, "session: one bad result refuses the whole request") {
  session.call(bash("a"), t0);
  Json body = Json::parse(result_for("a"));
  body["events"].push_back(Json::parse(result_for("unknown"))["events"][0]);
  CHECK(session.post(body.dump(), t0).reply.status == 400);
  CHECK(session.find("a")->answers.empty());
}

TEST_CASE_FIXTURE(Fixture, "session: an ended thread takes no results; what ran when it ended is excused") {
  session.call({.id = "ran", .name = "bash", .thread = "t"}, t0);
  session.call({.id = "held", .name = "bash", .thread = "t", .permission = "ask"}, t0);
  session.end_thread("t", t0);
  session.confirm("held", "allow", t0);
  session.call({.id = "late", .name = "bash", .thread = "t"}, t0);
  CHECK(!refused("ran"));
  CHECK(refused("held"));
  CHECK(refused("late"));
}

TEST_CASE_FIXTURE(Fixture, "session: after the end only what was on its way is excused") {
  session.call(bash("a"), t0);
  session.terminate(t0);
  CHECK(!refused("a", t0 + 100ms));
  CHECK(refused("a", t0 + 2s));
  CHECK(Json::parse(session.describe().body)["status"] == "terminated");
}

TEST_CASE("history: pages, filters and orders") {
  Settings settings;
  settings.session.page_size = 2;
  settings.session.empty_pages = 1;
  SessionState session(settings);
  for (int i = 0; i < 5; ++i)
    session.append({{"type", i % 2 == 0 ? "even" : "odd"}, {"id", std::to_string(i)}},
                   t0 + std::chrono::seconds(i));
  const auto get = [&](const std::string& query) { return session.history(*Target::parse("/x?" + query)); };

  std::vector<std::string> all;
  std::string page;
  int pages = 0;
  do {
    const auto outcome = get("limit=1000" + page);
    REQUIRE(outcome.violation == "");
    for (auto& id : ids(outcome.reply)) all.push_back(id);
    const Json next = Json::parse(outcome.reply.body)["next_page"];
    std::string token = next.is_null() ? "" : next.get<std::string>();
    if (const auto plus = token.find('+'); plus != std::string::npos) token.replace(plus, 1, "%2B");
    page = token.empty() ? "" : "&page=" + token;
  } while (!page.empty() && ++pages < 10);
  CHECK(all == std::vector<std::string>{"0", "1", "2", "3", "4"});
  CHECK(pages == 3);

  settings.session = {};
  SessionState whole(settings);
  for (int i = 0; i < 5; ++i)
    whole.append({{"type", i % 2 == 0 ? "even" : "odd"}, {"id", std::to_string(i)}},
                 t0 + std::chrono::seconds(i));
  const auto ask = [&](const std::string& query) {
    return ids(whole.history(*Target::parse("/x?" + query)).reply);
  };
  CHECK(ask("types=odd") == std::vector<std::string>{"1", "3"});
  CHECK(ask("order=desc&limit=2") == std::vector<std::string>{"4", "3"});
  CHECK(ask("created_at[gte]=2027-01-15T08:00:03.000000Z") == std::vector<std::string>{"3", "4"});
  CHECK(ask("created_at[gt]=2027-01-15T08:00:03.000000Z") == std::vector<std::string>{"4"});
  CHECK(ask("created_at[lt]=2027-01-15T08:00:01Z") == std::vector<std::string>{"0"});
  CHECK(ask("created_at[lte]=2027-01-15T09:00:01%2B01:00") == std::vector<std::string>{"0", "1"});
  CHECK(ask("created_at[gt]=2027-01-15T08:00:01Z&created_at[lte]=2027-01-15T08:00:02Z") ==
        std::vector<std::string>{"2"});
  whole.append({{"type", "queued"}, {"id", "5"}, {"processed_at", nullptr}}, t0);
  CHECK(ask("created_at[gte]=2027-01-15T08:00:04Z") == std::vector<std::string>{"4"});
  CHECK(ask("types=queued") == std::vector<std::string>{"5"});
}

TEST_CASE_FIXTURE(Fixture, "history: wrong parameters are refused") {
  for (const char* query :
       {"limit=0", "limit=1001", "limit=x", "page=made-up", "order=up", "colour=red",
        "created_at[gte]=yesterday", "created_at[gte]=", "created_at[ge]=2027-01-15T08:00:04Z"}) {
    CAPTURE(query);
    const auto outcome = session.history(*Target::parse(std::string("/x?") + query));
    CHECK(outcome.reply.status == 400);
    CHECK(outcome.violation != "");
  }
}
