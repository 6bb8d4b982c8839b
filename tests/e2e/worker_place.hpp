#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/session_server/session_folder.hpp"
#include "tests/session_server/session_server.hpp"
#include "tests/session_server/worker_process.hpp"

namespace session_server {

/// A folder and a runtime directory in which workers are started one after the other, or side by side.
/// Workers that still run at the end are killed, with what they left. `server` outlives it.
class WorkerPlace {
 public:
  explicit WorkerPlace(SessionServer& server);
  ~WorkerPlace();

  /// Starts one more. With a short idle time, so that sessions end soon.
  WorkerProcess& start(const std::map<std::string, std::string>& environment = {});
  /// The same, for another work item of the session.
  WorkerProcess& start_for(const std::string& work_id);
  /// Kills it, tells the server, and waits until it is gone.
  void kill(WorkerProcess& worker);
  /// Nothing when it still runs after a limit that no run comes near.
  std::optional<int> wait_for_exit(WorkerProcess& worker);

  const SessionFolder& folder() const { return folder_; }
  /// Of all starts so far.
  std::string log() const { return folder_.log_text(); }
  /// Waits until the log has this text.
  bool wait_for_log(const std::string& text);
  std::string read(const std::string& name) const;
  /// Waits until this file is in the folder.
  bool wait_for_file(const std::string& name);
  /// The names of what lies in the runtime directory.
  std::string runtime_files() const;
  /// Processes that run in the folder; waits a little for those that are just ending.
  std::vector<pid_t> processes();

 private:
  SessionServer& server_;
  SessionFolder folder_;
  std::vector<std::unique_ptr<WorkerProcess>> workers_;
};

}  // namespace session_server
