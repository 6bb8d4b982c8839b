#pragma once

#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "tools/environment.hpp"
#include "tools/limits.hpp"
#include "tools/spill.hpp"
#include "tools/tool.hpp"

namespace sandbox_worker::tools {

struct BashOptions {
  boost::asio::any_io_executor executor;  // the main one; everything happens on it but
  boost::asio::any_io_executor pool;      // what takes long: ending many processes
  std::string workdir;
  Environment environment;  // as built by command_environment
  Limits limits;
  std::string private_dir{};              // see ShellOptions; empty: none
  SpillStore* spill = nullptr;            // outlives the tool; null: what doesn't fit in a result is lost
  std::function<void(pid_t)> on_shell{};  // each shell, right after its start; may be empty
};

class BashSession;

/// The bash tool of one lane: `{command?, restart?, timeout_ms?}`, one shell that lasts from call to call.
/// Make, use and destroy on the executor. The destructor kills the whole session without waiting.
class Bash final : public Tool {
 public:
  explicit Bash(BashOptions options);
  ~Bash() override;

  std::string_view name() const noexcept override { return "bash"; }
  boost::asio::awaitable<ToolResult> run(nlohmann::json input) override;

  /// Ends the shell and every process that it left: TERM, and KILL 300 ms later; at most about a second.
  /// No call may be running. A later run() starts a fresh shell.
  boost::asio::awaitable<void> close();

  /// Kills the same without waiting, at any time; the tool can't be used any more.
  void kill();

 private:
  const Limits limits_;
  std::shared_ptr<BashSession> session_;  // also held by what reads from it, for one turn of the loop
};

/// Whether commands can be run at all; the error is a sentence for the operator.
std::expected<void, std::string> check_bash();

}  // namespace sandbox_worker::tools
