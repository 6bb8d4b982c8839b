#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tests/session_server/session_folder.hpp"
#include "tests/session_server/session_server.hpp"
#include "tests/session_server/worker_process.hpp"

namespace session_server {

/// The program that these tests are about: WORKER_UNDER_TEST, or the one built beside them.
std::string worker_binary();
/// A sanitizer's shadow and quarantine are no measure of its memory.
bool is_sanitized();

/// One start of the real worker in a folder of its own. The destructor ends it and removes the folder.
class WorkerRun {
 public:
  struct Options {
    std::map<std::string, std::string> environment{};  // added to the server's, or in place of them
    std::vector<std::string> arguments{};
    std::vector<std::string> wrapper{};  // a program that starts the worker, e.g. nohup
    std::filesystem::path output{};      // where stdout and stderr go in place of the folder's log
  };

  /// Without a server, only the folder's variables and those given are set. `server` outlives the run.
  explicit WorkerRun(SessionServer* server) : WorkerRun(server, Options{}) {}
  WorkerRun(SessionServer* server, Options options);

  WorkerProcess& process() { return *process_; }
  const SessionFolder& folder() const { return folder_; }
  /// What it has written to stderr and stdout so far.
  std::string log() const { return folder_.log_text(); }
  /// Waits for its end; nothing when it still runs after `limit`.
  std::optional<int> wait_for_exit(std::chrono::milliseconds limit = std::chrono::seconds(60));

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  SessionServer* const server_;
  SessionFolder folder_;
  std::unique_ptr<WorkerProcess> process_;  // last: its thread uses the members above
};

}  // namespace session_server
