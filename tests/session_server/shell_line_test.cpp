#include "tests/session_server/shell_line.hpp"

#include <doctest/doctest.h>

using namespace session_server;

TEST_CASE("shell: what is typed becomes a call") {
  struct Row {
    const char* line;
    const char* name;
    const char* input;
  };
  for (auto& row : {
           Row{"bash ls -la | wc", "bash", R"({"command":"ls -la | wc"})"},
           Row{"bash", "bash", R"({"restart":true})"},
           Row{"  read  a.txt ", "read", R"({"file_path":"a.txt"})"},
           Row{"read a.txt 2 5", "read", R"({"file_path":"a.txt","view_range":[2,5]})"},
           Row{"write a.txt one\\ntwo", "write", R"({"file_path":"a.txt","content":"one\ntwo"})"},
           Row{"edit a.txt old text => new", "edit",
               R"({"file_path":"a.txt","old_string":"old text","new_string":"new"})"},
           Row{"glob **/*.c src", "glob", R"({"pattern":"**/*.c","path":"src"})"},
           Row{"grep needle", "grep", R"({"pattern":"needle"})"},
           Row{R"(deploy {"to": "x"})", "deploy", R"({"to":"x"})"},
       }) {
    CAPTURE(row.line);
    const auto call = parse_shell_line(row.line);
    REQUIRE(call);
    CHECK(call->name == row.name);
    CHECK(call->input == Json::parse(row.input));
  }
  for (const char* line : {"dance", "edit a b", "read {broken"}) CHECK(!parse_shell_line(line));
}
