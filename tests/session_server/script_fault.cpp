#include "tests/session_server/script_fault.hpp"

#include <algorithm>
#include <array>

#include "tests/session_server/fields.hpp"
#include "tests/session_server/script.hpp"

namespace session_server {
namespace {

constexpr std::array<std::pair<std::string_view, FaultAction>, 15> kActions = {{
    {"close", FaultAction::close},
    {"close_header", FaultAction::close_header},
    {"half_body", FaultAction::half_body},
    {"reset", FaultAction::reset},
    {"reset_body", FaultAction::reset_body},
    {"delay", FaultAction::delay},
    {"drip", FaultAction::drip},
    {"status", FaultAction::status},
    {"invalid_json", FaultAction::invalid_json},
    {"wrong_content_type", FaultAction::wrong_content_type},
    {"redirect", FaultAction::redirect},
    {"no_answer", FaultAction::no_answer},
    {"down", FaultAction::down},
    {"no_tls", FaultAction::no_tls},
    {"cut", FaultAction::cut},
}};

constexpr std::array<std::pair<std::string_view, Cut>, 4> kCuts = {{
    {"close", Cut::close},
    {"drop", Cut::drop},
    {"reset", Cut::reset},
    {"half_event", Cut::half_event},
}};

}  // namespace

Cut parse_cut(const std::string& name, const std::string& where) {
  const auto found =
      std::ranges::find(kCuts, std::string_view(name), &std::pair<std::string_view, Cut>::first);
  if (found == kCuts.end())
    throw ScriptError(where + ": a cut is close, drop, reset or half_event, not " + name);
  return found->second;
}

Fault parse_fault(const Json& json, const std::string& where) {
  Fields fields(json, where);
  Fault fault;
  if (fields.has("on")) {
    const auto kind = fields.need_as<std::string>("on");
    fault.on = request_kind(kind);
    if (!fault.on && kind != "any") fields.fail("on: no such kind of request: " + kind);
  }
  const auto action = fields.need_as<std::string>("do");
  const auto known =
      std::ranges::find(kActions, std::string_view(action), &std::pair<std::string_view, FaultAction>::first);
  if (known == kActions.end()) fields.fail("do: no such fault: " + action);
  fault.action = known->second;
  fields.read("status", fault.status);
  if (const Json* headers = fields.find("headers")) {
    for (auto& [name, value] : headers->items()) {
      fault.headers.emplace_back(name, value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
  fields.read("body", fault.body);
  fields.read_ms("delay_ms", fault.delay);
  fields.read_ms("gap_ms", fault.gap);
  fields.read("commit", fault.commit);
  fields.read_ms("commit_after_ms", fault.commit_after);
  fields.read("after_events", fault.after_events);
  if (fields.has("cut")) fault.cut = parse_cut(fields.need_as<std::string>("cut"), where);
  fields.read("contains", fault.contains);
  fields.read("skip", fault.skip);
  fields.read("count", fault.count);
  fields.read("every", fault.every);
  fields.read("percent", fault.percent);
  fields.read("seed", fault.seed);
  if (fault.every == 0) fields.fail("every must be at least 1");
  fields.done();
  return fault;
}

}  // namespace session_server
