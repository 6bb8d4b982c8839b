#include "protocol/json_repair.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

using sandbox_worker::protocol::repair_json;

TEST_CASE("repair: what our parser refuses is replaced, and nothing else is touched") {
  struct Row {
    std::string text;
    std::string repaired;
  };
  const Row rows[] = {
      {R"("\ud83d")", R"("\ufffd")"},
      {R"("\ud83d\ud83d\ude00")", R"("\ufffd\ud83d\ude00")"},
      {R"("\ude00\ud83d")", R"("\ufffd\ufffd")"},
      {R"("\\ud83d")", R"("\\ud83d")"},
      {R"("\uD83Dx\u00e4\n\"")", R"("\ufffdx\u00e4\n\"")"},
      {R"({"1e999":1e999,"b":[-1e999,1e30]})", R"({"1e999":"1e999","b":["-1e999",1e30]})"},
      {"\"\xff\xc3\xa4\"", "\"\xef\xbf\xbd\xc3\xa4\""},
      {"\"\xc3\"", "\"\xef\xbf\xbd\""},
      {R"({"a":true,"b":null,"c":"\u12"})", R"({"a":true,"b":null,"c":"\u12"})"},
      {R"("\)", R"("\)"},
      {R"("\ud83d)", R"("\ufffd)"},
      {"", ""},
  };
  for (const auto& row : rows) {
    const auto result = repair_json(row.text);
    CHECK(result.text == row.repaired);
    CHECK((result.fault == nullptr) == (row.text == row.repaired));
  }
}

TEST_CASE("repair: valid JSON stays as it is, and what is repaired needs no repair") {
  const std::vector<std::string> pieces = {
      "\"", "\\",    "\\ud83d", "\\ude00", "\\u0041", "\xc3", "\xa4", "\xf0\x9f\x98\x80",
      "a",  "1e999", "-",       "7",       "[",       "]",    ",",    " "};
  // Every text of up to four pieces, between quotes and without.
  std::vector<std::string> texts = {""};
  for (int length = 0; length < 4; ++length) {
    std::vector<std::string> longer;
    for (const auto& text : texts) {
      for (const auto& piece : pieces) longer.push_back(text + piece);
    }
    texts = std::move(longer);
    for (const auto& text : texts) {
      for (const auto& whole : {text, '"' + text + '"'}) {
        const auto repaired = repair_json(whole);
        if (nlohmann::json::accept(whole)) CHECK(repaired.text == whole);
        CHECK(repair_json(repaired.text).text == repaired.text);
        if (repaired.fault == nullptr) CHECK(repaired.text == whole);
      }
    }
  }
}
