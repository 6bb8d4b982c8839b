#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "tests/e2e/worker_run.hpp"
#include "tests/support/poll.hpp"

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

using sandbox_worker::testing::poll;

inline bool until_file(const WorkerRun& run, const std::string& name,
                       std::chrono::milliseconds limit = std::chrono::seconds(20)) {
  return poll(limit, [&] { return std::filesystem::exists(run.folder().workdir() / name); });
}

/// Processes may be just ending.
inline bool nothing_runs(const WorkerRun& run) {
  return poll(std::chrono::seconds(2), [&] { return processes_below(run.folder().workdir()).empty(); });
}

}  // namespace session_server
