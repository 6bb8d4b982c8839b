#include "tools/input.hpp"

#include <doctest/doctest.h>

#include <limits>

using nlohmann::json;
using sandbox_worker::tools::Input;
using sandbox_worker::tools::TextContent;

namespace {

Input input_of(const char* text) {
  return Input("tool", json::parse(text));
}

std::string message(const Input& input) {
  return std::get<TextContent>(input.error().content.front()).text;
}

}  // namespace

TEST_CASE("input: fields are read by their type, unknown ones are ignored, null is none") {
  auto in =
      input_of(R"({"s": "a", "b": true, "i": -3, "f": 4.0, "p": [1, 2.0], "n": null, "e": [], "more": {}})");
  CHECK(in.required_string("s") == "a");
  CHECK(in.optional_bool("b") == true);
  CHECK(in.optional_integer("i") == -3);
  CHECK(in.optional_integer("f") == 4);
  const auto pair = in.optional_integer_pair("p");
  REQUIRE(pair);
  CHECK(pair->first == 1);
  CHECK(pair->second == 2);
  CHECK_FALSE(in.optional_string("n"));
  CHECK_FALSE(in.optional_bool("n"));
  CHECK_FALSE(in.optional_integer("n"));
  CHECK_FALSE(in.optional_integer_pair("n"));
  CHECK_FALSE(in.optional_integer_pair("e"));
  CHECK_FALSE(in.optional_string("absent"));
  CHECK_FALSE(in.failed());
}

TEST_CASE("input: numbers that don't fit are cut to the nearest that does") {
  auto in = input_of(R"({"u": 18446744073709551615, "d": 1e300, "m": -1e300})");
  CHECK(in.optional_integer("u") == std::numeric_limits<std::int64_t>::max());
  CHECK(in.optional_integer("d") == std::numeric_limits<std::int64_t>::max());
  CHECK(in.optional_integer("m") == std::numeric_limits<std::int64_t>::min());
  CHECK_FALSE(in.failed());
}

TEST_CASE("input: everything that is wrong is said at once") {
  auto in = input_of(R"({"s": 1, "o": [], "b": "yes", "i": 1.5, "p": [1], "q": ["1", "2"], "n": null})");
  CHECK(in.required_string("s").empty());
  CHECK(in.required_string("n").empty());
  in.optional_string("o");
  in.optional_bool("b");
  in.optional_integer("i");
  in.optional_integer_pair("p");
  in.optional_integer_pair("q");
  REQUIRE(in.failed());
  CHECK(message(in) ==
        "tool: s must be a string, not a number; n is missing (a string is needed); o must be a string, not "
        "an array; "
        "b must be true or false, not a string; i must be a whole number, not 1.5; "
        "p must be two whole numbers, e.g. [1, 20]; q must be two whole numbers, e.g. [1, 20]");
  CHECK(in.error().is_error);
}

TEST_CASE("input: anything but an object is an error, and reads as empty") {
  for (const char* text : {"null", "[]", "\"x\"", "3"}) {
    auto in = input_of(text);
    CHECK(in.failed());
    CHECK(in.required_string("s").empty());
  }
  CHECK(message(input_of("[]")) == "tool: the input must be an object, not an array");
}
