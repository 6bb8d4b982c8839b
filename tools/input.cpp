#include "tools/input.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <utility>

namespace sandbox_worker::tools {
namespace {

using nlohmann::json;

std::string_view type_words(const json& value) {
  switch (value.type()) {
    case json::value_t::null:
      return "null";
    case json::value_t::boolean:
      return "a boolean";
    case json::value_t::string:
      return "a string";
    case json::value_t::array:
      return "an array";
    case json::value_t::object:
      return "an object";
    default:
      return "a number";
  }
}

std::optional<std::int64_t> whole_number(const json& value) {
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  constexpr auto kMin = std::numeric_limits<std::int64_t>::min();
  if (value.is_number_unsigned()) {
    const auto number = value.get<std::uint64_t>();
    return number > static_cast<std::uint64_t>(kMax) ? kMax : static_cast<std::int64_t>(number);
  }
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (!value.is_number_float()) return std::nullopt;
  const double number = value.get<double>();
  if (!std::isfinite(number) || std::trunc(number) != number) return std::nullopt;
  constexpr double kTwoTo63 = 9223372036854775808.0;
  if (number >= kTwoTo63) return kMax;
  if (number < -kTwoTo63) return kMin;
  return static_cast<std::int64_t>(number);
}

}  // namespace

Input::Input(std::string_view tool, json input) : tool_(tool), input_(std::move(input)) {
  if (!input_.is_object()) {
    complain(fmt::format("the input must be an object, not {}", type_words(input_)));
    input_ = json::object();
  }
}

std::string Input::required_string(std::string_view field) {
  auto* value = find(field);
  if (value == nullptr) {
    complain(fmt::format("{} is missing (a string is needed)", field));
    return {};
  }
  if (!value->is_string()) {
    wrong_type(field, "a string", *value);
    return {};
  }
  return std::move(value->get_ref<std::string&>());
}

std::optional<std::string> Input::optional_string(std::string_view field) {
  auto* value = find(field);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return std::move(value->get_ref<std::string&>());
  wrong_type(field, "a string", *value);
  return std::nullopt;
}

std::optional<bool> Input::optional_bool(std::string_view field) {
  auto* value = find(field);
  if (value == nullptr) return std::nullopt;
  if (value->is_boolean()) return value->get<bool>();
  wrong_type(field, "true or false", *value);
  return std::nullopt;
}

std::optional<std::int64_t> Input::optional_integer(std::string_view field) {
  auto* value = find(field);
  if (value == nullptr) return std::nullopt;
  if (auto number = whole_number(*value)) return number;
  if (value->is_number())
    complain(fmt::format("{} must be a whole number, not {}", field, value->dump()));
  else
    wrong_type(field, "a whole number", *value);
  return std::nullopt;
}

std::optional<Input::Pair> Input::optional_integer_pair(std::string_view field) {
  auto* value = find(field);
  if (value == nullptr || (value->is_array() && value->empty())) return std::nullopt;
  if (value->is_array() && value->size() == 2) {
    const auto first = whole_number((*value)[0]);
    const auto second = whole_number((*value)[1]);
    if (first && second) return Pair{.first = *first, .second = *second};
  }
  complain(fmt::format("{} must be two whole numbers, e.g. [1, 20]", field));
  return std::nullopt;
}

void Input::complain(std::string_view problem) {
  if (!problems_.empty()) problems_ += "; ";
  problems_ += problem;
}

ToolResult Input::error() const {
  return ToolResult::error(fmt::format("{}: {}", tool_, problems_));
}

nlohmann::json* Input::find(std::string_view field) {
  const auto found = input_.find(field);
  return found == input_.end() || found->is_null() ? nullptr : &*found;
}

void Input::wrong_type(std::string_view field, std::string_view needed, const json& found) {
  complain(fmt::format("{} must be {}, not {}", field, needed, type_words(found)));
}

}  // namespace sandbox_worker::tools
