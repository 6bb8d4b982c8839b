#include "tests/session_server/script.hpp"

#include <fmt/format.h>

#include <csignal>
#include <fstream>

#include "tests/session_server/fields.hpp"
#include "tests/session_server/script_fault.hpp"
#include "tests/session_server/script_step.hpp"

namespace session_server {
namespace {

WorkSettings parse_work(const Json& json) {
  Fields fields(json, "work");
  WorkSettings work;
  fields.read("ttl_seconds", work.ttl_seconds);
  fields.read("state", work.state);
  fields.read("begun", work.begun);
  fields.read("last_heartbeats", work.last_heartbeats);
  std::string auth = "key";
  fields.read("auth", auth);
  if (auth == "secret") {
    work.auth = Auth::secret;
  } else if (auth == "secret_and_key") {
    work.auth = Auth::secret_and_key;
  } else if (auth != "key") {
    fields.fail("auth is key, secret or secret_and_key");
  }
  fields.done();
  return work;
}

SessionSettings parse_session(const Json& json, std::string& path_prefix) {
  Fields fields(json, "session");
  SessionSettings session;
  fields.read("status", session.status);
  fields.read("agent", session.agent);
  fields.read("resources", session.resources);
  fields.read("page_size", session.page_size);
  fields.read("empty_pages", session.empty_pages);
  fields.read("accept_duplicates", session.accept_duplicates);
  fields.read("tools", session.tools);
  fields.read("path_prefix", path_prefix);
  if (session.page_size == 0) fields.fail("page_size must be at least 1");
  fields.done();
  return session;
}

StreamSettings parse_stream(const Json& json) {
  Fields fields(json, "stream");
  StreamSettings stream;
  std::string names = "type";
  fields.read("names", names);
  if (names == "message") {
    stream.names = StreamSettings::Names::message;
  } else if (names == "none") {
    stream.names = StreamSettings::Names::none;
  } else if (names != "type") {
    fields.fail("names is type, message or none");
  }
  fields.read("newline", stream.newline);
  fields.read("chunked", stream.chunked);
  fields.read("split_bytes", stream.split_bytes);
  fields.read_ms("ping_ms", stream.ping);
  fields.done();
  return stream;
}

WorkerSettings parse_worker(const Json& json) {
  Fields fields(json, "worker");
  WorkerSettings worker;
  fields.read("attach", worker.attach);
  fields.read("max_idle", worker.max_idle);
  fields.read("env", worker.environment);
  fields.read("args", worker.arguments);
  fields.done();
  return worker;
}

End parse_end(const Json& json) {
  Fields fields(json, "end");
  End end;
  std::string by = "idle";
  fields.read("by", by);
  if (by == "terminate") {
    end.how = End::How::terminate;
  } else if (by == "delete") {
    end.how = End::How::remove;
  } else if (by == "none") {
    end.how = End::How::none;
  } else if (by != "idle") {
    fields.fail("by is idle, terminate, delete or none");
  }
  fields.read("reason", end.reason);
  if (const Json* code = fields.find("exit_code")) {
    end.exit_code = code->is_null() ? std::nullopt : std::optional(code->get<int>());
  }
  if (const Json* stopped = fields.find("stopped")) {
    end.stopped = stopped->is_null() ? std::nullopt : std::optional(stopped->get<bool>());
  }
  fields.read("streams", end.streams);
  fields.read_ms("within_ms", end.within);
  if (const Json* files = fields.find("files")) {
    for (auto& file : *files) end.files.push_back(parse_file_check(file, "end.files"));
  }
  fields.read_strings("log_contains", end.log_contains);
  fields.done();
  return end;
}

std::vector<Step> parse_steps(const Json* json, const std::string& where) {
  std::vector<Step> steps;
  if (json == nullptr) return steps;
  if (!json->is_array()) throw ScriptError(where + ": must be an array");
  for (std::size_t i = 0; i < json->size(); ++i) {
    steps.push_back(parse_step((*json)[i], fmt::format("{}[{}]", where, i)));
  }
  return steps;
}

}  // namespace

Script Script::parse(const Json& json, std::string fallback_name) {
  Script script;
  script.name = std::move(fallback_name);
  Fields fields(json, "script");
  try {
    fields.read("name", script.name);
    fields.read("about", script.about);
    fields.read("known_differences", script.known_differences);
    if (const Json* found = fields.find("work")) script.settings.work = parse_work(*found);
    if (const Json* found = fields.find("session")) {
      script.settings.session = parse_session(*found, script.settings.path_prefix);
    }
    if (const Json* found = fields.find("stream")) script.settings.stream = parse_stream(*found);
    if (const Json* found = fields.find("worker")) script.worker = parse_worker(*found);
    if (const Json* found = fields.find("faults")) {
      for (auto& fault : *found) script.faults.push_back(parse_fault(fault, "faults"));
    }
    script.history = parse_steps(fields.find("history"), "history");
    script.steps = parse_steps(fields.find("steps"), "steps");
    if (const Json* found = fields.find("end")) script.end = parse_end(*found);
    fields.read_ms("wait_limit_ms", script.wait_limit);
    fields.read("max_body_bytes", script.settings.max_body_bytes);
    fields.done();
  } catch (const Json::exception& error) {
    throw ScriptError(error.what());
  }
  return script;
}

Script Script::load(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) throw ScriptError("can't read " + path.string());
  try {
    return parse(Json::parse(file), path.stem().string());
  } catch (const Json::parse_error& error) {
    throw ScriptError(path.string() + ": " + error.what());
  } catch (const ScriptError& error) {
    throw ScriptError(path.string() + ": " + error.what());
  }
}

}  // namespace session_server
