#include "tests/session_server/result_rules.hpp"

#include <doctest/doctest.h>

using namespace session_server;

namespace {

std::string body(const std::string& content) {
  return R"({"events":[{"type":"user.tool_result","tool_use_id":"c","is_error":false,"content":)" + content +
         "}]}";
}

}  // namespace

TEST_CASE("result: what the service takes") {
  for (const char* content : {
           R"([{"type":"text","text":"x"}])",
           R"([{"type":"text","text":"x"},{"type":"text","text":"y"}])",
           R"([{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}}])",
           R"([{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"aGk="}}])",
       }) {
    CAPTURE(content);
    CHECK(parse_results(body(content)));
  }
  const auto custom = parse_results(
      R"({"events":[{"type":"user.custom_tool_result","custom_tool_use_id":"c","is_error":true,
      "content":[{"type":"text","text":"x"}]}]})");
  REQUIRE(custom);
  CHECK(custom->front().custom);
  CHECK(custom->front().is_error);
}

TEST_CASE("result: what the service refuses") {
  for (
      const std::string& text : {
          std::string(""),
          std::string("[]"),
          std::string(R"({"events":[]})"),
          std::string(R"({"events":[{}]})"),
          std::string(R"({"events":[{"type":"user.message"}]})"),
          std::string(
              R"({"events":[{"type":"user.tool_result","tool_use_id":"c","content":[{"type":"text","text":"x"}]}]})"),
          std::string(
              R"({"events":[{"type":"user.tool_result","custom_tool_use_id":"c","is_error":false,"content":[]}]})"),
          std::string(R"({"beta":true,"events":[]})"),
          body("[]"),
          body("\"text\""),
          body(R"([{"type":"text","text":""}])"),
          body(R"([{"type":"text","text":5}])"),
          body(R"([{"type":"text","text":"x","cache":1}])"),
          body(R"([{"type":"text"}])"),
          body(R"([{"type":"video"}])"),
          body("[{\"type\":\"text\",\"text\":\"\xff\"}]"),
          body(R"([{"type":"image","source":{"type":"base64","media_type":"image/bmp","data":"aGk="}}])"),
          body(R"([{"type":"image","source":{"type":"base64","media_type":"image/png","data":"a"}}])"),
          body(R"([{"type":"image","source":{"type":"url","url":"http://x"}}])"),
      }) {
    CAPTURE(text);
    CHECK(!parse_results(text));
  }
}

TEST_CASE("result: one body answers a call once") {
  const std::string event =
      R"({"type":"user.tool_result","tool_use_id":"c","is_error":false,"content":[{"type":"text","text":"x"}]})";
  CHECK(parse_results(R"({"events":[)" + event + "]}"));
  CHECK(!parse_results(R"({"events":[)" + event + "," + event + "]}"));
}
