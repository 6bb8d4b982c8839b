#include "tests/session_server/result_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

namespace session_server {
namespace {

using Problem = std::string;  // empty: none

Problem only(const Json& object, std::initializer_list<std::string_view> allowed, std::string_view where) {
  for (auto& [key, value] : object.items()) {
    if (std::ranges::find(allowed, key) == allowed.end())
      return fmt::format("{}: unknown field {}", where, key);
  }
  return {};
}

bool is_string(const Json& object, const char* key) {
  return object.contains(key) && object[key].is_string() &&
         !object[key].get_ref<const std::string&>().empty();
}

bool is_base64(std::string_view text) {
  if (text.size() % 4 != 0) return false;
  const auto end = text.find_last_not_of('=');
  if (end == std::string_view::npos || text.size() - end > 3) return false;
  return text.substr(0, end + 1)
             .find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") ==
         std::string_view::npos;
}

Problem check_source(const Json& block, std::initializer_list<std::string_view> media_types) {
  if (auto problem = only(block, {"type", "source"}, "content block"); !problem.empty()) return problem;
  if (!block.contains("source") || !block["source"].is_object()) return "content block: source is missing";
  const Json& source = block["source"];
  if (auto problem = only(source, {"type", "media_type", "data"}, "source"); !problem.empty()) return problem;
  if (source.value("type", Json()) != "base64") return "source: type must be base64";
  if (!is_string(source, "media_type") ||
      std::ranges::find(media_types, source["media_type"].get_ref<const std::string&>()) ==
          media_types.end()) {
    return "source: media_type is not supported";
  }
  if (!is_string(source, "data") || !is_base64(source["data"].get_ref<const std::string&>())) {
    return "source: data must be base64";
  }
  return {};
}

Problem check_block(const Json& block) {
  if (!block.is_object() || !is_string(block, "type")) return "content block: type is missing";
  const auto& type = block["type"].get_ref<const std::string&>();
  if (type == "text") {
    if (auto problem = only(block, {"type", "text"}, "text block"); !problem.empty()) return problem;
    return is_string(block, "text") ? Problem{} : "text block: text must be a string that is not empty";
  }
  if (type == "image") return check_source(block, {"image/png", "image/jpeg", "image/gif", "image/webp"});
  if (type == "document") return check_source(block, {"application/pdf"});
  return "content block: unknown type " + type;
}

std::expected<PostedResult, Problem> parse_result(const Json& event) {
  if (!event.is_object()) return std::unexpected("an event must be an object");
  PostedResult result;
  const Json type = event.value("type", Json());
  if (type == "user.custom_tool_result") {
    result.custom = true;
  } else if (type != "user.tool_result") {
    return std::unexpected("a worker posts user.tool_result or user.custom_tool_result, not " + type.dump());
  }
  const char* id_field = result.custom ? "custom_tool_use_id" : "tool_use_id";
  if (auto problem = only(event, {"type", id_field, "is_error", "content"}, "result"); !problem.empty()) {
    return std::unexpected(problem);
  }
  if (!is_string(event, id_field)) return std::unexpected(fmt::format("result: {} is missing", id_field));
  result.call_id = event[id_field];
  if (!event.contains("is_error") || !event["is_error"].is_boolean()) {
    return std::unexpected("result: is_error must be true or false");
  }
  result.is_error = event["is_error"];
  if (!event.contains("content") || !event["content"].is_array() || event["content"].empty()) {
    return std::unexpected("result: content must have at least one block");
  }
  for (auto& block : event["content"]) {
    if (auto problem = check_block(block); !problem.empty()) return std::unexpected(problem);
  }
  result.content = event["content"];
  return result;
}

}  // namespace

std::expected<std::vector<PostedResult>, std::string> parse_results(std::string_view body) {
  const Json parsed = Json::parse(body, nullptr, false);
  if (parsed.is_discarded()) return std::unexpected("the body is not JSON in valid UTF-8");
  if (!parsed.is_object()) return std::unexpected("the body must be an object");
  if (auto problem = only(parsed, {"events"}, "body"); !problem.empty()) return std::unexpected(problem);
  if (!parsed.contains("events") || !parsed["events"].is_array() || parsed["events"].empty()) {
    return std::unexpected("events must be an array that is not empty");
  }
  std::vector<PostedResult> results;
  for (auto& event : parsed["events"]) {
    auto result = parse_result(event);
    if (!result) return std::unexpected(result.error());
    if (std::ranges::any_of(results, [&](auto& other) { return other.call_id == result->call_id; })) {
      return std::unexpected("one body answers " + result->call_id + " twice");
    }
    results.push_back(std::move(*result));
  }
  return results;
}

std::string text_of(const Json& content) {
  std::string text;
  for (auto& block : content) {
    if (block.value("type", "") == "text") text += block.value("text", "");
  }
  return text;
}

}  // namespace session_server
