#include "protocol/event.hpp"

#include <doctest/doctest.h>

#include <string>
#include <variant>

using namespace sandbox_worker::protocol;

namespace {

template <class T>
T parsed(std::string_view json) {
  auto event = parse_event(json);
  REQUIRE_MESSAGE(event.has_value(), json);
  REQUIRE_MESSAGE(std::holds_alternative<T>(event->event), json);
  return std::get<T>(std::move(event->event));
}

}  // namespace

TEST_CASE("event: a tool use with all its fields, in any order") {
  const auto use = parsed<ToolUse>(
      R"({"input":{"command":"ls","n":[1,{"a":null}]},"name":"bash","evaluated_permission":"ask",
          "session_thread_id":"sthr_1","id":"toolu_1","type":"agent.tool_use","extra":{"id":"no","input":3}})");
  CHECK(use.id == "toolu_1");
  CHECK(use.name == "bash");
  CHECK(use.thread == "sthr_1");
  CHECK(use.permission == Permission::ask);
  CHECK_FALSE(use.custom);
  REQUIRE(use.input);
  CHECK(*use.input == nlohmann::json::parse(R"({"command":"ls","n":[1,{"a":null}]})"));
}

TEST_CASE("event: permission, as wire.md has it") {
  const auto permission = [](std::string_view field) {
    return parsed<ToolUse>(R"({"type":"agent.tool_use","id":"t","name":"bash")" + std::string(field) + "}")
        .permission;
  };
  CHECK(permission("") == Permission::allow);
  CHECK(permission(R"(,"evaluated_permission":null)") == Permission::allow);
  CHECK(permission(R"(,"evaluated_permission":"allow")") == Permission::allow);
  CHECK(permission(R"(,"evaluated_permission":"ask")") == Permission::ask);
  CHECK(permission(R"(,"evaluated_permission":"deny")") == Permission::deny);
  CHECK(permission(R"(,"evaluated_permission":"later")") == Permission::ask);
  CHECK(permission(R"(,"evaluated_permission":7)") == Permission::ask);
  CHECK(permission(R"(,"evaluated_permission":{"x":"allow"})") == Permission::ask);
}

TEST_CASE("event: the other types") {
  CHECK(parsed<ToolUse>(R"({"type":"agent.custom_tool_use","id":"t","name":"x"})").custom);
  CHECK(
      parsed<Confirmation>(R"({"type":"user.tool_confirmation","tool_use_id":"t","result":"allow"})").allow);
  CHECK_FALSE(
      parsed<Confirmation>(R"({"type":"user.tool_confirmation","tool_use_id":"t","result":"deny"})").allow);
  CHECK_FALSE(parsed<Confirmation>(R"({"type":"user.tool_confirmation","tool_use_id":"t"})").allow);
  CHECK(parsed<ToolAnswered>(R"({"type":"user.tool_result","tool_use_id":"t"})").tool_use_id == "t");
  CHECK(parsed<ToolAnswered>(R"({"type":"user.custom_tool_result","custom_tool_use_id":"c"})").tool_use_id ==
        "c");
  CHECK_FALSE(parsed<Interrupt>(R"({"type":"user.interrupt"})").thread);
  CHECK_FALSE(parsed<Interrupt>(R"({"type":"user.interrupt","session_thread_id":null})").thread);
  CHECK(parsed<Interrupt>(R"({"type":"user.interrupt","session_thread_id":"s"})").thread == "s");
  CHECK(parsed<StatusIdle>(
            R"({"type":"session.status_idle","id":"e","stop_reason":{"type":"requires_action"}})")
            .requires_action);
  CHECK_FALSE(
      parsed<StatusIdle>(R"({"type":"session.status_idle","stop_reason":{"x":{"type":"requires_action"}}})")
          .requires_action);
  CHECK(parsed<ThreadTerminated>(R"({"type":"session.thread_status_terminated","session_thread_id":"s"})")
            .thread == "s");
  CHECK_FALSE(parsed<SessionEnded>(R"({"type":"session.status_terminated"})").deleted);
  CHECK(parsed<SessionEnded>(R"({"type":"session.deleted"})").deleted);
  CHECK(parsed<OtherEvent>(R"({"type":"agent.mcp_tool_use","id":"m","name":"bash"})").type ==
        "agent.mcp_tool_use");
  CHECK(parsed<OtherEvent>(R"({"type":"something.new"})").type == "something.new");
}

TEST_CASE("event: malformed ones are errors, never exceptions") {
  const std::string long_id(kMaxIdBytes + 1, 'x');
  for (const std::string& json :
       {std::string(""), std::string("null"), std::string("[]"), std::string("\"x\""), std::string("{"),
        std::string("{}"), std::string(R"({"type":7})"), std::string(R"({"type":"agent.tool_use"})"),
        std::string(R"({"type":"agent.tool_use","id":"t"})"),
        std::string(R"({"type":"agent.tool_use","name":"b"})"),
        std::string(R"({"type":"agent.tool_use","id":7,"name":"b"})"),
        std::string(R"({"type":"user.tool_result","tool_use_id":""})"),
        R"({"type":"agent.tool_use","name":"b","id":")" + long_id + "\"}"}) {
    CHECK_MESSAGE(!parse_event(json).has_value(), json);
  }
}

TEST_CASE("event: JSON nested 100,000 deep costs nothing but its call's input") {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  const std::string objects = [] {
    std::string text;
    for (int i = 0; i < 100'000; ++i) text += "{\"a\":";
    return text + "1" + std::string(100'000, '}');
  }();
  for (const auto& value : {deep, objects}) {
    CHECK_FALSE(
        parsed<ToolUse>(R"({"type":"agent.tool_use","id":"t","name":"b","input":)" + value + "}").input);
    CHECK(parsed<OtherEvent>(R"({"x":)" + value + R"(,"type":"y"})").type == "y");
  }
  std::string fits = "1";
  for (int i = 0; i < kMaxInputDepth; ++i) fits = "[" + fits + "]";
  CHECK(parsed<ToolUse>(R"({"type":"agent.tool_use","id":"t","name":"b","input":)" + fits + "}").input);
}

TEST_CASE(
    "event: a call is heard of also when its input is JSON that isn't taken, and says why it can't run") {
  struct Row {
    std::string input;
    std::string fault;
  };
  const Row rows[] = {
      {R"({"content":"half: \ud83d!"})", "has half a surrogate pair, which is no character"},
      {R"({"content":"\uDE00"})", "has half a surrogate pair, which is no character"},
      {R"({"n":1e400})", "has a number that is too large"},
      {R"({"n":[-123e999, 1]})", "has a number that is too large"},
      {"{\"content\":\"a\xff\xfe b \xc3\"}", "has bytes that are not UTF-8"},
      {std::string(65, '[') + std::string(65, ']'), "is nested too deeply"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.input);
    const auto use = parsed<ToolUse>(
        R"({"type":"agent.tool_use","id":"t","name":"b","session_thread_id":"s","input":)" + row.input + "}");
    CHECK(use.id == "t");
    CHECK(use.thread == "s");
    CHECK_FALSE(use.input);
    CHECK(use.fault == row.fault);
  }
  // Elsewhere in an event it doesn't matter.
  CHECK(parsed<OtherEvent>(R"({"x":"\ud83d","n":1e999,"type":"y"})").type == "y");
  CHECK(parsed<ToolUse>(R"({"type":"agent.tool_use","id":"t","name":"b","input":{"s":"\ud83d\ude00"}})")
            .input->at("s") == "\xf0\x9f\x98\x80");
  CHECK_FALSE(parse_event(R"({"type":"agent.tool_use","id":"t","name":"b","input":{"s":"\ud83d",}})"));
}

TEST_CASE("event: an input that is no object is kept for the tool to refuse") {
  CHECK(*parsed<ToolUse>(R"({"type":"agent.tool_use","id":"t","name":"b","input":"x"})").input == "x");
  CHECK(*parsed<ToolUse>(R"({"type":"agent.tool_use","id":"t","name":"b","input":7})").input == 7);
  CHECK(parsed<ToolUse>(R"({"type":"agent.tool_use","id":"t","name":"b","input":[]})").input->is_array());
  CHECK(parsed<ToolUse>(R"({"type":"agent.tool_use","id":"t","name":"b"})").input->is_object());
}
