#include "protocol/requests.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

namespace sandbox_worker::protocol {
namespace {

using nlohmann::json;

std::string session_path(std::string_view session) {
  return "/v1/sessions/" + percent_encode(session);
}

std::string work_path(std::string_view environment, std::string_view work) {
  return "/v1/environments/" + percent_encode(environment) + "/work/" + percent_encode(work);
}

Request get(std::string target) {
  Request request;
  request.method = "GET";
  request.target = std::move(target);
  request.headers.emplace_back("accept", "application/json");
  return request;
}

Request post(std::string target, std::string body) {
  Request request = get(std::move(target));
  request.method = "POST";
  request.body = std::move(body);
  return request;
}

json block_json(const ResultBlock& block) {
  if (const auto* text = std::get_if<TextBlock>(&block)) {
    return {{"type", "text"}, {"text", text->text.empty() ? "(no output)" : text->text}};
  }
  const auto& data = std::get<DataBlock>(block);
  return {{"type", data.type},
          {"source", {{"type", "base64"}, {"media_type", data.media_type}, {"data", data.base64}}}};
}

json result_json(const CallResult& result) {
  json content = json::array();
  for (const auto& block : result.content) content.push_back(block_json(block));
  if (content.empty()) content.push_back(block_json(TextBlock{}));
  return {{"type", result.custom ? "user.custom_tool_result" : "user.tool_result"},
          {result.custom ? "custom_tool_use_id" : "tool_use_id", result.call_id},
          {"is_error", result.is_error},
          {"content", std::move(content)}};
}

}  // namespace

std::string percent_encode(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                            c == '-' || c == '.' || c == '_' || c == '~';
    if (unreserved) {
      encoded.push_back(c);
    } else {
      fmt::format_to(std::back_inserter(encoded), "%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

Request get_session(std::string_view session) {
  return get(session_path(session));
}

Request open_stream(std::string_view session) {
  Request request = get(session_path(session) + "/events/stream");
  request.headers.front().second = "text/event-stream";
  return request;
}

Request get_history(std::string_view session, std::optional<ServiceTime> from,
                    const std::optional<std::string>& page) {
  auto target = fmt::format("{}/events?limit={}", session_path(session), kHistoryPageEvents);
  if (from) target += "&created_at%5Bgte%5D=" + percent_encode(format_service_time(*from));
  if (page) target += "&page=" + percent_encode(*page);
  return get(std::move(target));
}

std::string encode_result(const CallResult& result) {
  return result_json(result).dump(-1, ' ', false, json::error_handler_t::replace);
}

Request post_results(std::string_view session, std::string body) {
  return post(session_path(session) + "/events", std::move(body));
}

Request heartbeat(std::string_view environment, std::string_view work, std::string_view expected) {
  return post(work_path(environment, work) + "/heartbeat?expected_last_heartbeat=" + percent_encode(expected),
              {});
}

Request stop_work(std::string_view environment, std::string_view work) {
  return post(work_path(environment, work) + "/stop", R"({"force":true})");
}

}  // namespace sandbox_worker::protocol
