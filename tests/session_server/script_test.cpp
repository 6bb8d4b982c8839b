#include "tests/session_server/script.hpp"

#include <doctest/doctest.h>

#include "tests/session_server/expectation.hpp"
#include "tests/session_server/sse_frame.hpp"

using namespace session_server;

TEST_CASE("script: every session of tests/sessions can be read") {
  int count = 0;
  for (auto& entry : std::filesystem::directory_iterator(SESSIONS_FOLDER)) {
    CAPTURE(entry.path().string());
    CHECK_NOTHROW(Script::load(entry.path()));
    ++count;
  }
  CHECK(count > 50);
}

TEST_CASE("script: what it doesn't know is refused") {
  for (const char* text : {
           R"([])",
           R"({"step": []})",
           R"({"steps": {}})",
           R"({"steps": [{}]})",
           R"({"steps": [{"sing": true}]})",
           R"({"steps": [{"call": {"input": {}}}]})",
           R"({"steps": [{"call": {"name": "bash", "expect": {"contain": "x"}}}]})",
           R"({"steps": [{"call": {"name": 5}}]})",
           R"({"steps": [{"await": "godot"}]})",
           R"({"steps": [{"fault": {"on": "lunch", "do": "close"}}]})",
           R"({"steps": [{"fault": {"on": "post", "do": "explode"}}]})",
           R"({"steps": [{"cut_streams": "gently"}]})",
           R"({"steps": [{"sleep_ms": 3600000}]})",
           R"({"work": {"auth": "none"}})",
           R"({"end": {"by": "magic"}})",
       }) {
    CAPTURE(text);
    CHECK_THROWS_AS(Script::parse(Json::parse(text), "x"), ScriptError);
  }
}

TEST_CASE("expectation: each kind finds its fault") {
  Call call;
  call.at = Time(std::chrono::seconds(1));
  call.answers.push_back({.is_error = false,
                          .content = Json::parse(R"([{"type":"text","text":"größe 42\n"}])"),
                          .at = call.at + std::chrono::milliseconds(50)});
  const auto problems = [&](const char* expect) {
    const Json step = {{"call", {{"name", "bash"}, {"expect", Json::parse(expect)}}}};
    const Script script = Script::parse({{"steps", Json::array({step})}}, "x");
    return check_answer(std::get<step::Calls>(script.steps[0]).calls[0].expect, call).size();
  };
  CHECK(problems(
            R"({"is_error":false,"text":"größe 42\n","contains":["42","größe"],"lacks":"43","matches":"\\d+",
    "type":"text","min_characters":9,"max_characters":9,"within_ms":50})") == 0);
  CHECK(problems(R"({"is_error":true})") == 1);
  CHECK(problems(R"({"text":"x"})") == 1);
  CHECK(problems(R"({"contains":["a","b"]})") == 2);
  CHECK(problems(R"({"lacks":"42"})") == 1);
  CHECK(problems(R"({"matches":"^42"})") == 1);
  CHECK(problems(R"({"type":"image"})") == 1);
  CHECK(problems(R"({"max_characters":8})") == 1);
  CHECK(problems(R"({"min_characters":10})") == 1);
  CHECK(problems(R"({"within_ms":49})") == 1);
}

TEST_CASE("stream: frames in each form") {
  const Json event = {{"type", "t"}};
  StreamSettings settings;
  CHECK(sse_frame(event, settings) == "event: t\ndata: {\"type\":\"t\"}\n\n");
  settings.names = StreamSettings::Names::message;
  settings.newline = "\r\n";
  CHECK(sse_frame(event, settings) == "event: message\r\ndata: {\"type\":\"t\"}\r\n\r\n");
  settings.names = StreamSettings::Names::none;
  CHECK(sse_frame(event, settings) == "data: {\"type\":\"t\"}\r\n\r\n");
}

TEST_CASE("console: long texts are one short line") {
  CHECK(one_line("abc", 5) == "abc");
  CHECK(one_line("abc\n", 5) == "abc");
  CHECK(one_line("abc\ndef", 5) == "abc …");
  CHECK(one_line("äöüßx", 4) == "äöüß…");
}
