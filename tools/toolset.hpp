#pragma once

#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "tools/limits.hpp"
#include "tools/tool.hpp"

namespace sandbox_worker::tools {

class Bash;
class FileLocks;
class SearchSlots;
class SpillStore;
class Workspace;

/// What all lanes share. Pointers outlive every toolset; FileLocks, SpillStore and Workspace are thread-safe,
/// SearchSlots are the executor's.
struct ToolsetOptions {
  boost::asio::any_io_executor executor;  // the main thread's
  boost::asio::any_io_executor pool;      // blocking work
  const Workspace* workspace = nullptr;
  FileLocks* file_locks = nullptr;
  SpillStore* spill = nullptr;
  std::vector<std::string> environment;  // of commands, as NAME=value
  std::string private_dir;               // see ShellOptions
  unsigned search_threads = 1;           // that one search may take
  SearchSlots* search_slots = nullptr;
  std::string home;        // of the user whose git configuration counts for searches
  std::string xdg_config;  // XDG_CONFIG_HOME
  Limits limits;
  bool private_files = false;             // files and directories that write makes are for their owner alone
  std::function<void(pid_t)> on_shell{};  // each shell, right after its start; may be empty
};

/// What runs the calls of one lane. One call at a time.
class CallRunner {
 public:
  virtual ~CallRunner() = default;

  /// Of a tool that is there; as Tool::run.
  virtual boost::asio::awaitable<ToolResult> run(std::string_view name, nlohmann::json input) = 0;
  /// Ends what calls have left running, within a second or so.
  virtual boost::asio::awaitable<void> close() = 0;
  /// The same at once, for when the process ends: nothing may be run any more.
  virtual void kill() = 0;
};

/// The six tools of one lane (a session thread), with a shell of their own, which begins with the first bash
/// call. Executor: make, use and destroy on `executor`. Destruction kills the shell without waiting.
class Toolset final : public CallRunner {
 public:
  explicit Toolset(const ToolsetOptions& options);
  ~Toolset() override;

  static bool has(std::string_view name);
  boost::asio::awaitable<ToolResult> run(std::string_view name, nlohmann::json input) override;
  boost::asio::awaitable<void> close() override;
  void kill() override;

 private:
  std::vector<std::unique_ptr<Tool>> tools_;
  Bash* bash_ = nullptr;  // one of tools_
};

}  // namespace sandbox_worker::tools
