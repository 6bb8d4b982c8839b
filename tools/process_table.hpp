#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/unique_fd.hpp"

namespace sandbox_worker::tools {

/// What /proc says about one process at the moment of asking.
struct ProcessInfo {
  pid_t pid = 0;
  pid_t parent = 0;
  pid_t group = 0;
  pid_t session = 0;
  char state = '?';              // Z: ended, not yet reaped
  bool own_program = false;      // it has executed a program since it was forked
  unsigned long long begun = 0;  // clock ticks since the boot; with the pid it names a process for good

  bool ended() const noexcept { return state == 'Z' || state == 'X'; }
};

std::optional<ProcessInfo> process_info(pid_t pid);

/// Whether just this process has not ended.
bool still_runs(const ProcessInfo& process);

std::vector<ProcessInfo> list_processes();

/// Children of all threads of `pid`, ended ones included.
std::vector<pid_t> children_of(pid_t pid);

/// Those of its first thread only, where the kernel puts orphans whose reaper it is.
std::vector<pid_t> children_of_main_thread(pid_t pid);

/// The same for who asks often about one process: its files of /proc stay open, which spares most of the
/// cost. Those of a process that has ended tell of no children, also when a later one has its number, as long
/// as the kernel has the file that tells (CONFIG_PROC_CHILDREN). Any thread.
class ChildList {
 public:
  explicit ChildList(pid_t pid);

  std::vector<pid_t> of_all_threads() const;
  std::vector<pid_t> of_main_thread() const;

 private:
  pid_t pid_;
  UniqueFd tasks_;     // its directory of threads
  UniqueFd children_;  // of the first thread; none where the kernel has no such file
};

/// Whether it ignores SIGINT and SIGQUIT, as bash has its background jobs do.
bool ignores_keyboard_signals(pid_t pid);

/// Whether its standard input is what a command gets from us: /dev/null, open for writing too. A background
/// job has that only as the first of a pipeline.
bool has_foreground_input(pid_t pid);

bool has_descriptor(pid_t pid, int fd);

/// What a descriptor is open on ("pipe:[17]"), or the beginning of a longer path; empty when that can't be
/// told. Never asks a file system, which may hang.
std::string link_of_descriptor(pid_t pid, int fd);

/// Whether its first thread sits in a system call that waits for a child. True where that can't be told.
bool waits_for_child(pid_t pid);

/// Whether its standard output is a pipe that `reader` has open for reading.
bool prints_into(pid_t pid, pid_t reader);

/// Whether standard output or error of `writer` is the pipe that is `reader`'s standard input.
bool feeds(pid_t writer, pid_t reader);

/// The command line, arguments separated by blanks; empty for an ended process.
std::string command_line_of(pid_t pid);

/// Where the process is; empty when it has ended. A directory that was removed has " (deleted)" behind it.
std::string working_directory_of(pid_t pid);

}  // namespace sandbox_worker::tools
