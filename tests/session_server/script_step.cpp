#include "tests/session_server/script_step.hpp"

#include <fmt/format.h>

#include <csignal>
#include <functional>

#include "tests/session_server/fields.hpp"
#include "tests/session_server/script_fault.hpp"

namespace session_server {
namespace {

Expectation parse_expectation(const Json& json, const std::string& where) {
  Expectation expect;
  if (json == "unanswered") {
    expect.answered = false;
    return expect;
  }
  if (json == "any") {
    expect.optional = true;
    return expect;
  }
  Fields fields(json, where + ".expect");
  fields.read("optional", expect.optional);
  fields.read("is_error", expect.is_error);
  fields.read("text", expect.text);
  fields.read_strings("contains", expect.contains);
  fields.read_strings("lacks", expect.lacks);
  fields.read_strings("matches", expect.matches);
  fields.read("type", expect.type);
  fields.read("min_characters", expect.min_characters);
  fields.read("max_characters", expect.max_characters);
  fields.read_ms("within_ms", expect.within);
  fields.done();
  return expect;
}

PlannedCall parse_call(const Json& json, const std::string& where, std::string fallback_name) {
  Fields fields(json, where);
  PlannedCall planned;
  NewCall& call = planned.call;
  fields.read("as", fallback_name);
  call.id = call_id(fallback_name);
  call.name = fields.need_as<std::string>("name");
  if (const Json* input = fields.find("input")) call.input = *input;
  fields.read("thread", call.thread);
  fields.read("permission", call.permission);
  bool custom = false;
  bool mcp = false;
  fields.read("custom", custom);
  fields.read("mcp", mcp);
  if (custom) call.kind = CallKind::custom;
  if (mcp) call.kind = CallKind::mcp;
  fields.read("answered", planned.answered);
  if (const Json* expect = fields.find("expect")) planned.expect = parse_expectation(*expect, where);
  if (planned.answered) planned.expect.answered = false;
  fields.done();
  return planned;
}

step::Await parse_await(const Json& json, const std::string& where) {
  step::Await await;
  if (json == "answers") return await;
  if (json == "exit") {
    await.what = step::Await::What::exit;
    return await;
  }
  if (json == "stream") {
    await.what = step::Await::What::streams;
    return await;
  }
  if (json.is_string()) throw ScriptError(where + ": no such thing to wait for: " + json.get<std::string>());
  Fields fields(json, where);
  if (fields.has("call")) {
    await.what = step::Await::What::call;
    await.name = call_id(fields.need_as<std::string>("call"));
  } else if (fields.has("file")) {
    await.what = step::Await::What::file;
    await.name = fields.need_as<std::string>("file");
  } else if (fields.has("streams")) {
    await.what = step::Await::What::streams;
    await.count = fields.need_as<std::size_t>("streams");
  } else if (fields.has("heartbeats")) {
    await.what = step::Await::What::heartbeats;
    await.count = fields.need_as<std::size_t>("heartbeats");
  } else {
    await.what = step::Await::What::requests;
    const auto kind = request_kind(fields.need_as<std::string>("requests"));
    if (!kind) fields.fail("no such kind of request");
    await.kind = *kind;
    fields.read("count", await.count);
  }
  fields.read("more", await.more);
  fields.done();
  return await;
}

step::Lease parse_lease(const Json& json, const std::string& where) {
  if (json == "stop") return {step::Lease::Event::stop};
  if (json == "not_extended") return {step::Lease::Event::not_extended};
  if (json == "taken") return {step::Lease::Event::taken};
  throw ScriptError(where + ": lease is stop, not_extended or taken");
}

Load parse_load(const Json& json, const std::string& where) {
  Fields fields(json, where);
  Load load;
  fields.read("calls", load.calls);
  fields.read("mix", load.mix);
  fields.read("threads", load.threads);
  fields.read("in_flight", load.in_flight);
  fields.read("cut_streams", load.cut_streams);
  fields.read("post_503_percent", load.post_503_percent);
  fields.read("seed", load.seed);
  if (load.mix.empty() || load.in_flight == 0) fields.fail("mix and in_flight must not be empty");
  fields.done();
  return load;
}

int parse_signal(const std::string& name, const std::string& where) {
  if (name == "TERM") return SIGTERM;
  if (name == "INT") return SIGINT;
  if (name == "KILL") return SIGKILL;
  if (name == "STOP") return SIGSTOP;
  if (name == "CONT") return SIGCONT;
  throw ScriptError(where + ": no such signal: " + name);
}

/// Everything that a step can be, by the field that says so.
struct Parser {
  const Json& value;
  Fields& fields;
  const std::string& where;

  template <class T>
  T as() const {
    return fields.need_as<T>(name);
  }
  std::string name;
};

const std::map<std::string, std::function<Step(const Parser&)>>& parsers() {
  static const std::map<std::string, std::function<Step(const Parser&)>> table = {
      {"call",
       [](const Parser& p) -> Step {
         step::Calls calls;
         calls.calls.push_back(parse_call(p.value, p.where + ".call", p.where));
         p.fields.read("wait", calls.wait);
         return calls;
       }},
      {"calls",
       [](const Parser& p) -> Step {
         step::Calls calls;
         for (std::size_t i = 0; i < p.value.size(); ++i) {
           const std::string at = fmt::format("{}.calls[{}]", p.where, i);
           calls.calls.push_back(parse_call(p.value[i], at, at));
         }
         p.fields.read("wait", calls.wait);
         return calls;
       }},
      {"confirm",
       [](const Parser& p) -> Step {
         step::Confirm confirm{.call_id = call_id(p.as<std::string>()), .result = "allow"};
         p.fields.read("result", confirm.result);
         return confirm;
       }},
      {"interrupt",
       [](const Parser& p) -> Step {
         if (p.value.is_string()) return step::Interrupt{.thread = p.as<std::string>()};
         return step::Interrupt{};
       }},
      {"end_thread", [](const Parser& p) -> Step { return step::EndThread{.thread = p.as<std::string>()}; }},
      {"idle", [](const Parser& p) -> Step { return step::Idle{.reason = p.as<std::string>()}; }},
      {"terminate", [](const Parser&) -> Step { return step::Terminate{}; }},
      {"delete", [](const Parser&) -> Step { return step::Terminate{.deleted = true}; }},
      {"event",
       [](const Parser& p) -> Step {
         step::Append append{.event = p.value};
         p.fields.read("repeat", append.repeat);
         p.fields.read("fill_bytes", append.fill_bytes);
         return append;
       }},
      {"raw", [](const Parser& p) -> Step { return step::SendRaw{.bytes = p.as<std::string>()}; }},
      {"answer_elsewhere",
       [](const Parser& p) -> Step {
         step::AnswerElsewhere answer{.call_id = call_id(p.as<std::string>()),
                                      .text = "answered by another client"};
         p.fields.read("text", answer.text);
         return answer;
       }},
      {"fault",
       [](const Parser& p) -> Step {
         return step::AddFault{.fault = parse_fault(p.value, p.where + ".fault")};
       }},
      {"clear_faults", [](const Parser&) -> Step { return step::ClearFaults{}; }},
      {"cut_streams",
       [](const Parser& p) -> Step {
         return step::CutStreams{.how = parse_cut(p.as<std::string>(), p.where)};
       }},
      {"listen", [](const Parser& p) -> Step { return step::Listen{.on = p.as<bool>()}; }},
      {"lease", [](const Parser& p) -> Step { return parse_lease(p.value, p.where); }},
      {"signal",
       [](const Parser& p) -> Step {
         return step::Signal{.number = parse_signal(p.as<std::string>(), p.where)};
       }},
      {"sleep_ms",
       [](const Parser& p) -> Step {
         const step::Sleep sleep{.time = std::chrono::milliseconds(p.as<std::int64_t>())};
         if (sleep.time > std::chrono::minutes(1))
           throw ScriptError(p.where + ": a sleep has at most a minute");
         return sleep;
       }},
      {"await", [](const Parser& p) -> Step { return parse_await(p.value, p.where + ".await"); }},
      {"say", [](const Parser& p) -> Step { return step::Say{.text = p.as<std::string>()}; }},
      {"restart", [](const Parser&) -> Step { return step::Restart{}; }},
      {"touch", [](const Parser& p) -> Step { return step::Touch{.path = p.as<std::string>()}; }},
      {"file", [](const Parser& p) -> Step { return parse_file_check(p.value, p.where + ".file"); }},
      {"generate", [](const Parser& p) -> Step { return parse_load(p.value, p.where + ".generate"); }},
  };
  return table;
}

}  // namespace

std::string call_id(const std::string& name) {
  std::string id = "sevt_";
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    id += plain ? c : '_';
  }
  return id;
}

FileCheck parse_file_check(const Json& json, const std::string& where) {
  Fields fields(json, where);
  FileCheck check;
  check.path = fields.need_as<std::string>("path");
  fields.read("exists", check.exists);
  fields.read("text", check.text);
  fields.read_strings("contains", check.contains);
  fields.read("lines", check.lines);
  fields.read("unique_lines", check.unique_lines);
  fields.done();
  return check;
}

Step parse_step(const Json& json, const std::string& where) {
  Fields fields(json, where);
  std::string ignored;
  fields.read("comment", ignored);
  for (auto& [name, parse] : parsers()) {
    const Json* value = fields.has(name) ? fields.find(name) : nullptr;
    if (value == nullptr) continue;
    Step step = parse(Parser{.value = *value, .fields = fields, .where = where, .name = name});
    fields.done();
    return step;
  }
  fields.fail("no known step in it");
}

}  // namespace session_server
