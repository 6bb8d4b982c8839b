#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace sandbox_worker::tools {

/// What /proc says about one process at the moment of asking.
struct ProcessInfo {
  pid_t pid = 0;
  pid_t parent = 0;
  pid_t session = 0;
  char state = '?';  // Z: ended, not yet reaped

  bool ended() const noexcept { return state == 'Z' || state == 'X'; }
};

std::optional<ProcessInfo> process_info(pid_t pid);

std::vector<ProcessInfo> list_processes();

/// Children of all threads of `pid`, ended ones included.
std::vector<pid_t> children_of(pid_t pid);

/// Whether it ignores SIGINT and SIGQUIT, as bash has its background jobs do.
bool ignores_keyboard_signals(pid_t pid);

/// The command line, arguments separated by blanks; empty for an ended process.
std::string command_line_of(pid_t pid);

/// Where the process is; empty when it has ended.
std::string working_directory_of(pid_t pid);

}  // namespace sandbox_worker::tools
