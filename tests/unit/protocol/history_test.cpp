#include "protocol/history.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace sandbox_worker::protocol;

namespace {

struct Read {
  std::vector<std::string> ids;
  int skipped = 0;
  Result<std::optional<std::string>> next = std::nullopt;
};

Read read(std::initializer_list<std::string_view> pieces, std::size_t limit = 10'000) {
  Read result;
  HistoryPageReader reader(limit, {[&](TimedEvent timed) {
                                     if (auto* answered = std::get_if<ToolAnswered>(&timed.event)) {
                                       result.ids.push_back(answered->tool_use_id);
                                     }
                                   },
                                   [&](std::string) { ++result.skipped; }});
  for (const auto piece : pieces) reader.feed(piece);
  result.next = reader.finish();
  return result;
}

std::optional<std::string> next_page(std::string_view page) {
  const auto next = read({page}).next;
  REQUIRE(next.has_value());
  return *next;
}

constexpr std::string_view kPage = R"( { "first_id" : [1,{"data":[]}], "data": [
  {"type":"user.tool_result","tool_use_id":"a","content":[{"text":"]}\"\\"}]} ,
  {"type":"user.tool_result"}, 7, "x]", null,{"type":"user.tool_result","tool_use_id":"b"}],
  "has_more":true, "next_page" : "pg\u0041\"1" } )";

}  // namespace

TEST_CASE("history: the events of a page in order, the bad ones skipped") {
  const auto page = read({kPage});
  CHECK(page.ids == std::vector<std::string>{"a", "b"});
  CHECK(page.skipped == 4);
  REQUIRE(page.next);
  CHECK(*page.next == "pgA\"1");
}

TEST_CASE("history: cut at every byte, it reads the same") {
  for (std::size_t cut = 0; cut <= kPage.size(); ++cut) {
    const auto page = read({kPage.substr(0, cut), kPage.substr(cut)});
    CHECK(page.ids == std::vector<std::string>{"a", "b"});
    CHECK(page.skipped == 4);
    REQUIRE(page.next);
    CHECK(*page.next == "pgA\"1");
  }
}

TEST_CASE("history: an empty page, and the last one") {
  CHECK(next_page(R"({"data":[],"next_page":"n"})") == std::optional<std::string>("n"));
  CHECK(next_page(R"({"data":[],"next_page":null})") == std::optional<std::string>());
  CHECK(next_page(R"({"next_page":null,"data":[]})") == std::optional<std::string>());
  CHECK(next_page(R"({"data":[]})") == std::optional<std::string>());
}

TEST_CASE("history: what isn't a page, or not a whole one, is an error") {
  for (const std::string_view text :
       {"", "[]", "null", "{}", "{\"data\":7}", "{\"data\":[", "{\"data\":[]", "{\"data\":[{}",
        "{\"data\":[]}}", "{\"data\":[]},", "{\"data\" []}", "{data:[]}", "{\"data\":[,]}",
        "{\"data\":[],\"next_page\":7}", "<html>"}) {
    CHECK_MESSAGE(!read({text}).next.has_value(), text);
  }
  for (std::size_t size = 0; size + 2 < kPage.size(); ++size)
    CHECK(!read({kPage.substr(0, size)}).next.has_value());
}

TEST_CASE("history: an event over the limit is skipped, the page has no limit") {
  std::string page = R"({"data":[{"type":"user.tool_result","tool_use_id":"a","content":")" +
                     std::string(500, 'x') + R"("})";
  for (int i = 0; i < 1000; ++i) page += R"(,{"type":"user.tool_result","tool_use_id":"b"})";
  page += R"(],"next_page":null})";
  const auto result = read({page}, 300);
  CHECK(result.ids.size() == 1000);
  CHECK(result.skipped == 1);
  CHECK(result.next.has_value());
}
