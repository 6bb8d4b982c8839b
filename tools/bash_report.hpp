#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace sandbox_worker::tools {

/// Why a call was stopped before its own end.
enum class StopReason { none, timeout, interrupt };

/// How a call ended.
struct CallEnding {
  enum class Kind {
    ended,  // by itself; the shell lives on
    died,   // with its shell
    stuck,  // the shell takes no more commands, or is busy, and was killed
  };
  Kind kind = Kind::ended;
  int status = 0;  // exit status, or the shell's wait status
  StopReason stop = StopReason::none;
  std::chrono::milliseconds limit{};  // that was over, for StopReason::timeout
  bool begun = true;                  // or stopped before that
  bool out_of_memory = false;         // the kernel killed a process for memory meanwhile

  bool by_sigkill() const noexcept;
  bool is_error() const noexcept;
};

/// What a fresh shell begins with.
struct NextShell {
  std::string directory;
  std::string instead_of{};  // a directory that can't be entered any more; mostly empty
  enum class Exports {
    of_last_call,
    of_earlier_call,
    lost,  // too large to keep
  };
  Exports exports = Exports::of_last_call;
};

/// The lines behind a call's output; empty for a plain success.
std::string describe(const CallEnding& ending, const NextShell& next);

/// Adds a line on a line of its own.
void add_line(std::string& text, std::string_view line);

}  // namespace sandbox_worker::tools
