#include "tests/session_server/fault.hpp"

#include <fmt/format.h>

namespace session_server {

bool Fault::commits() const {
  if (commit_after) return false;
  if (commit) return *commit;
  switch (action) {
    case FaultAction::close_header:
    case FaultAction::half_body:
    case FaultAction::reset_body:
    case FaultAction::delay:
    case FaultAction::drip:
    case FaultAction::cut:
      return true;
    default:
      return false;
  }
}

bool Fault::answers_itself() const {
  return action == FaultAction::status || action == FaultAction::invalid_json ||
         action == FaultAction::wrong_content_type || action == FaultAction::redirect;
}

bool Fault::delivers() const {
  return action == FaultAction::drip || action == FaultAction::cut;
}

void FaultRules::add(Fault fault) {
  std::mt19937_64 chance(fault.seed);
  rules_.push_back({.fault = std::move(fault), .chance = chance});
}

std::optional<Fault> FaultRules::next(RequestKind kind, const Request& request) {
  for (auto& rule : rules_) {
    const Fault& fault = rule.fault;
    if (fault.on && *fault.on != kind) continue;
    if (!fault.contains.empty() && request.target.find(fault.contains) == std::string::npos &&
        request.body.find(fault.contains) == std::string::npos) {
      continue;
    }
    ++rule.seen;
    if (rule.seen <= fault.skip) continue;
    const bool endless = fault.every > 1 || fault.percent < 100;
    if (fault.count || !endless) {
      if (rule.played >= fault.count.value_or(1)) continue;
    }
    if ((rule.seen - fault.skip) % fault.every != 0) continue;
    // Drawn for every request that comes so far, so that one seed always gives one sequence.
    if (std::uniform_real_distribution<double>(0, 100)(rule.chance) >= fault.percent) continue;
    ++rule.played;
    return fault;
  }
  return std::nullopt;
}

Reply own_reply(const Fault& fault, std::string_view host_elsewhere) {
  Reply reply;
  switch (fault.action) {
    case FaultAction::invalid_json:
      reply = {.status = 200,
               .headers = {{"content-type", "application/json"}},
               .body = "{\"type\": \"broken\", "};
      break;
    case FaultAction::wrong_content_type:
      reply = {.status = 200,
               .headers = {{"content-type", "text/html"}},
               .body = "<html><body>Welcome to the captive portal</body></html>"};
      break;
    case FaultAction::redirect:
      reply = error_reply(307, "moved");
      reply.headers.emplace_back("location", fmt::format("http://{}/elsewhere", host_elsewhere));
      break;
    default:
      reply = error_reply(fault.status, fmt::format("a scripted answer {}", fault.status));
      break;
  }
  if (fault.body) reply.body = *fault.body;
  for (auto& header : fault.headers) reply.headers.push_back(header);
  return reply;
}

}  // namespace session_server
