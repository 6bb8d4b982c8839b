#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace session_server {

/// A worker as an orchestrator starts it: our environment without variables meant for workers, plus those
/// given. The destructor ends it, by its pid, when it still runs.
class WorkerProcess {
 public:
  struct Options {
    std::vector<std::string> command{};
    std::map<std::string, std::string> environment{};
    std::filesystem::path workdir{};
    std::filesystem::path log{};    // where its stdout and stderr go; empty: to ours
    std::function<void()> on_exit;  // called on another thread
  };

  /// Throws std::system_error when it can't be started.
  explicit WorkerProcess(Options options);
  ~WorkerProcess();

  pid_t pid() const { return pid_; }
  void signal(int number);
  bool exited() const { return exited_; }
  /// 128 + n after signal n; nothing while it runs.
  std::optional<int> exit_code() const;

 private:
  void wait_for_exit(const std::function<void()>& on_exit);

  pid_t pid_ = 0;
  std::mutex mutex_;  // no signal after the pid was given back
  std::atomic<bool> exited_{false};
  std::atomic<int> code_{0};
  std::thread waiter_;
};

/// Processes whose working directory is `folder` or below it.
std::vector<pid_t> processes_below(const std::filesystem::path& folder);

}  // namespace session_server
