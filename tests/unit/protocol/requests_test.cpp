#include "protocol/requests.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>

using namespace sandbox_worker::protocol;
using nlohmann::json;

namespace {

std::string accept_of(const Request& request) {
  for (const auto& [name, value] : request.headers) {
    if (name == "accept") return value;
  }
  return {};
}

}  // namespace

TEST_CASE("requests: targets, methods and bodies as the service has them") {
  struct Row {
    Request request;
    const char* method;
    const char* target;
    const char* accept;
    const char* body;
  };
  const Row rows[] = {
      {get_session("sesn_1"), "GET", "/v1/sessions/sesn_1", "application/json", ""},
      {open_stream("sesn_1"), "GET", "/v1/sessions/sesn_1/events/stream", "text/event-stream", ""},
      {get_history("sesn_1", {}, {}), "GET", "/v1/sessions/sesn_1/events?limit=1000", "application/json", ""},
      {get_history("sesn_1", {}, "p 1&x=y"), "GET",
       "/v1/sessions/sesn_1/events?limit=1000&page=p%201%26x%3Dy", "application/json", ""},
      {get_history("sesn_1", parse_service_time("2026-10-21T07:28:00.25Z"), "p"), "GET",
       "/v1/sessions/sesn_1/events?limit=1000&created_at%5Bgte%5D=2026-10-21T07%3A28%3A00.250000Z&page=p",
       "application/json", ""},
      {heartbeat("env_1", "work_1", "NO_HEARTBEAT"), "POST",
       "/v1/environments/env_1/work/work_1/heartbeat?expected_last_heartbeat=NO_HEARTBEAT",
       "application/json", ""},
      {stop_work("env_1", "work_1"), "POST", "/v1/environments/env_1/work/work_1/stop", "application/json",
       R"({"force":true})"},
      {post_results("sesn_1", R"({"events":[]})"), "POST", "/v1/sessions/sesn_1/events", "application/json",
       R"({"events":[]})"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.target);
    CHECK(row.request.method == row.method);
    CHECK(row.request.target == row.target);
    CHECK(accept_of(row.request) == row.accept);
    CHECK(row.request.body == row.body);
  }
}

TEST_CASE("requests: a hostile id or value stays one component") {
  CHECK(get_session("../x?a=b#c d\r\ne:f").target == "/v1/sessions/..%2Fx%3Fa%3Db%23c%20d%0D%0Ae%3Af");
  CHECK(open_stream("a/b").target == "/v1/sessions/a%2Fb/events/stream");
  CHECK(stop_work("a/b", "c?d").target == "/v1/environments/a%2Fb/work/c%3Fd/stop");
  for (const auto& [last, encoded] :
       {std::pair<std::string, std::string>("2026-01-02T03:04:05.678901+00:00",
                                            "2026-01-02T03%3A04%3A05.678901%2B00%3A00"),
        {"", ""},
        {"a b&desired_ttl_seconds=9\r\nx: y", "a%20b%26desired_ttl_seconds%3D9%0D%0Ax%3A%20y"},
        {"100%", "100%25"},
        {"\xc3\xbc\xff", "%C3%BC%FF"},
        {std::string("\0", 1), "%00"}}) {
    CHECK(heartbeat("e", "w", last).target ==
          "/v1/environments/e/work/w/heartbeat?expected_last_heartbeat=" + encoded);
  }
}

TEST_CASE("requests: percent-encoding leaves the unreserved characters, and only those") {
  for (int byte = 0; byte < 256; ++byte) {
    CAPTURE(byte);
    const std::string text(1, static_cast<char>(byte));
    const bool unreserved =
        std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
            .contains(text[0]) &&
        byte != 0;
    const auto encoded = percent_encode(text);
    if (unreserved) {
      CHECK(encoded == text);
    } else {
      CHECK(encoded == fmt::format("%{:02X}", byte));
    }
  }
}

TEST_CASE("requests: results in the wire's form, with no other field") {
  CallResult text{.call_id = "sevt_1", .custom = false, .is_error = true, .content = {TextBlock{"hello"}}};
  CallResult custom{.call_id = "sevt_2", .custom = true, .is_error = false, .content = {TextBlock{""}}};
  CallResult image{.call_id = "sevt_3",
                   .custom = false,
                   .is_error = false,
                   .content = {TextBlock{"an image"}, DataBlock{"image", "image/png", "aGk="}}};
  CallResult nothing{.call_id = "sevt_4", .custom = false, .is_error = false, .content = {}};
  const auto body =
      json::parse(fmt::format("{}{},{},{},{}{}", kResultsBegin, encode_result(text), encode_result(custom),
                              encode_result(image), encode_result(nothing), kResultsEnd));
  CHECK(body == json::parse(R"json({"events": [
    {"type": "user.tool_result", "tool_use_id": "sevt_1", "is_error": true,
     "content": [{"type": "text", "text": "hello"}]},
    {"type": "user.custom_tool_result", "custom_tool_use_id": "sevt_2", "is_error": false,
     "content": [{"type": "text", "text": "(no output)"}]},
    {"type": "user.tool_result", "tool_use_id": "sevt_3", "is_error": false,
     "content": [{"type": "text", "text": "an image"},
                 {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}]},
    {"type": "user.tool_result", "tool_use_id": "sevt_4", "is_error": false,
     "content": [{"type": "text", "text": "(no output)"}]}
  ]})json"));
}

TEST_CASE("requests: a result's text is always valid UTF-8") {
  const CallResult result{
      .call_id = "c", .custom = false, .is_error = false, .content = {TextBlock{"a\xff\xc3z\n\x01"}}};
  const auto event = json::parse(encode_result(result));
  CHECK(event["content"][0]["text"] == "a\xef\xbf\xbd\xef\xbf\xbdz\n\x01");
}
