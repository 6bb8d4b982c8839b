#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <expected>
#include <string>

#include "tools/environment.hpp"
#include "tools/output_pipe.hpp"
#include "tools/unique_fd.hpp"

namespace sandbox_worker::tools {

/// Where bash finds its private descriptors, in this order: the status pipe, the pipes for what commands
/// print, the memory file with a command's text, the pipe for the exported variables, /dev/null for reading
/// and writing, and the pipe that it reads its commands from, which it has opened once more as its script.
/// All stay open when bash executes a program, unless it moves or closes them; see Shell.
inline constexpr int kFirstPrivateFd = 80;
inline constexpr int kScriptFd = kFirstPrivateFd + 4 + static_cast<int>(kOutputs);

struct BashStart {
  std::string directory;     // absolute; see first_shell_lines
  std::string script_place;  // of a ScriptLink; where it can't be used, bash names its script otherwise
  const Environment& environment;
  std::uint64_t tag = 0;                // see process_tag
  int command = -1;                     // the memory file with a command's text
  std::array<int, kOutputs> outputs{};  // the pipes for what commands print
  int control_group = -1;               // the directory of a group to start in; -1: ours
};

struct StartFailure {
  std::string text;           // a sentence
  bool of_directory = false;  // that can't be entered
};

struct BashProcess {
  pid_t pid = -1;
  UniqueFd control;          // write end of the pipe that it reads its commands from
  UniqueFd control_waiting;  // the other end: tells what it hasn't read yet, and keeps SIGPIPE away
  UniqueFd status;           // read end of its status pipe
  UniqueFd exports;          // read end of the pipe for the exported variables
  UniqueFd own_output;       // read end of its standard output and error
};

/// Starts one bash in a session of its own, with default signals, no other descriptors, a high OOM score, and
/// its tag; it dies with this thread's process. Waits until it is executed. It has yet to go into
/// `directory`, which was only tried.
std::expected<BashProcess, StartFailure> start_bash(const BashStart& start);

/// Marks every process that a lane's shells start, in a resource limit that nobody uses otherwise: it
/// survives exec, setsid, double forks and an emptied environment.
std::uint64_t new_process_tag();
/// That of a process, or another value when it has none (its limit) or can't be told (0).
std::uint64_t process_tag(pid_t pid);
bool is_process_tag(std::uint64_t value);

/// What all tags that this process gives out have in common, and those of no other: for whoever comes after
/// us. 0 for what is no tag.
std::uint64_t tag_family();
std::uint64_t family_of_tag(std::uint64_t tag);

}  // namespace sandbox_worker::tools
