#pragma once

#include <sys/types.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "tests/support/temp_dir.hpp"
#include "tools/bash.hpp"
#include "tools/spill.hpp"

namespace sandbox_worker::testing {

struct Answer {
  std::string text;
  bool is_error = false;
};

/// A bash tool with a loop and a pool of its own, in an empty directory.
class BashLane {
 public:
  struct Options {
    tools::Environment environment = default_environment();
    tools::Limits limits{};
    tools::SpillStore::Limits spill{};
    std::string workdir{};  // empty: `dir`
  };
  static tools::Environment default_environment();

  BashLane() : BashLane(Options()) {}
  explicit BashLane(Options options);

  Answer call(nlohmann::json input);
  std::string text(const std::string& command) { return call({{"command", command}}).text; }
  /// Cancels the call once `file` is in the directory.
  Answer call_cancelled_at(const std::string& file, nlohmann::json input);
  void close();

  /// Runs the loop until `done`; false when that takes more than ten seconds.
  bool until(const std::function<bool()>& done);

  std::string path(const std::string& name) const { return (dir.path() / name).string(); }
  bool has(const std::string& name) const;
  /// The number in a file, 0 when there is none.
  pid_t pid_in(const std::string& name) const;

  TempDir dir;
  boost::asio::io_context io;
  boost::asio::thread_pool pool{2};
  std::unique_ptr<tools::SpillStore> spill;
  TempDir private_dir;
  std::unique_ptr<tools::Bash> bash;

 private:
  tools::ToolResult await(boost::asio::awaitable<tools::ToolResult> call,
                          boost::asio::cancellation_slot slot = {});
};

/// Whether a process is there and has not ended.
bool runs(pid_t pid);

}  // namespace sandbox_worker::testing
