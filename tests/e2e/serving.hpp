#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>

#include "tests/e2e/worker_run.hpp"

namespace session_server {

/// Short forms of what most tests of a served session say.

inline void make_call(SessionServer& server, const std::string& id, const std::string& tool, Json input,
                      const std::string& thread = {}) {
  NewCall call;
  call.id = id;
  call.name = tool;
  call.input = std::move(input);
  if (!thread.empty()) call.thread = thread;
  server.call(call);
}

inline void run_bash(SessionServer& server, const std::string& id, const std::string& command,
                     const std::string& thread = {}) {
  make_call(server, id, "bash", {{"command", command}}, thread);
}

inline std::size_t answers(const Service& service, const std::string& id) {
  const Call* call = service.session.find(id);
  return call ? call->answers.size() : 0;
}
inline bool answered(const Service& service, const std::string& id) {
  return answers(service, id) > 0;
}

/// Looks every 20 ms, for what the server can't tell of: files and processes.
inline bool until(std::chrono::milliseconds limit, const std::function<bool()>& done) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!done()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

inline bool until_file(const WorkerRun& run, const std::string& name,
                       std::chrono::milliseconds limit = std::chrono::seconds(20)) {
  return until(limit, [&] { return std::filesystem::exists(run.folder().workdir() / name); });
}

}  // namespace session_server
