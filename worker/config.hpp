#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/limits.hpp"
#include "worker/client/http.hpp"
#include "worker/log.hpp"

namespace sandbox_worker::worker {

/// Environment variables by name, ordered, so that messages come in one order.
using Environment = std::map<std::string, std::string, std::less<>>;

/// Which calls share a shell: those of one session thread, or all of the session.
enum class ShellScope { thread, session };

/// Everything that a run is told from outside. Constant once made.
struct Config {
  std::string session_id;
  std::string work_id;
  std::string environment_id;
  std::optional<std::string> last_heartbeat;  // of a lease that the claimer has begun
  std::string token;                          // the bearer; never logged
  BaseUrl base_url;
  HttpOptions http;  // without the authorization header
  std::chrono::milliseconds stream_silence = std::chrono::seconds(60);

  std::string workdir = "/workspace";
  std::string workdir_name;  // the variable and flag that gave it, for messages
  std::vector<std::string> allow_roots;
  std::string runtime_dir;                       // empty: the first of the usual places that can be made
  std::string spill_dir;                         // empty: below the runtime directory
  std::vector<std::string> command_environment;  // NAME=value entries added to that of commands
  std::string command_ca_file;                   // handed on to commands, absolute; empty: none
  bool private_files = false;                    // what the write tool makes is for its owner alone
  std::chrono::milliseconds max_idle = std::chrono::seconds(60);  // 0: never
  std::chrono::milliseconds max_run{0};                           // 0: no limit
  ShellScope shell_scope = ShellScope::thread;
  tools::Limits limits;
  std::string repo_source;  // copied to <workdir>/<repo_name> before the first call, when that isn't there
  std::string repo_name;

  LogFormat log_format = LogFormat::text;
  LogLevel log_level = LogLevel::info;
  std::vector<std::string> warnings;  // said once the log is there
};

/// The process's own.
Environment environment_of(const char* const* environ);
/// Empty where there is none of that name.
std::string value_of(const Environment& environment, std::string_view name);

}  // namespace sandbox_worker::worker
