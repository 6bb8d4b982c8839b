#include "tests/session_server/sse_frame.hpp"

namespace session_server {
namespace {

std::string frame(const std::string& type, const std::string& data, const StreamSettings& settings) {
  std::string out;
  if (settings.names != StreamSettings::Names::none) {
    out += "event: ";
    out += settings.names == StreamSettings::Names::type ? type : "message";
    out += settings.newline;
  }
  return out + "data: " + data + settings.newline + settings.newline;
}

}  // namespace

std::string sse_frame(const Json& event, const StreamSettings& settings) {
  return frame(event.value("type", ""), event.dump(-1, ' ', false, Json::error_handler_t::replace), settings);
}

std::string sse_ping(const StreamSettings& settings) {
  return ": keep-alive" + settings.newline + "event: ping" + settings.newline + "data: {\"type\": \"ping\"}" +
         settings.newline + settings.newline;
}

}  // namespace session_server
