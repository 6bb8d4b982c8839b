#include "tests/e2e/agent.hpp"

#include <stdexcept>

#include "tests/e2e/serving.hpp"

namespace session_server {

std::string answer_to(SessionServer& server, const std::string& id, std::chrono::milliseconds limit) {
  std::string text;
  const bool answered = server.wait(limit, [&](const Service& service) {
    const Call* call = service.session.find(id);
    if (!call || call->answers.empty()) return false;
    text = call->answers.front().content.at(0).at("text");
    return true;
  });
  if (!answered) throw std::runtime_error("no answer to " + id);
  return text;
}

std::string bash(SessionServer& server, const std::string& id, const std::string& command) {
  run_bash(server, id, command);
  return answer_to(server, id);
}

}  // namespace session_server
