#pragma once

#include <sys/types.h>

#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/bash_process.hpp"
#include "tools/between_marks.hpp"
#include "tools/environment.hpp"
#include "tools/process_table.hpp"
#include "tools/script_link.hpp"
#include "tools/shell_lines.hpp"
#include "tools/shell_place.hpp"
#include "tools/unique_fd.hpp"

namespace sandbox_worker::tools {

struct ShellOptions {
  boost::asio::any_io_executor executor;
  ShellPlace place;
  std::string private_dir;  // a file may lie there for a moment; where none can, messages name bash otherwise
  Environment environment;
  std::uint64_t tag = 0;                // see process_tag
  std::array<int, kOutputs> outputs{};  // where commands print; the caller's
  int control_group = -1;               // as in BashStart
};

/// What a shell reports, always from the executor and never from within one of its own functions.
struct ShellEvents {
  std::function<void(int status)> ended;      // the command; all of its own output is in the pipe
  std::function<void(int wait_status)> died;  // the shell; nothing comes later
  std::function<void()> stuck;                // it reads on but no longer does what it is told
};

/// One bash in a session of its own, that is handed one command at a time. The text of a command lies in a
/// memory file, its end is told through a private pipe: neither touches the syntax or the output of the
/// other. Use on the executor only.
class Shell : public std::enable_shared_from_this<Shell> {
 public:
  static std::expected<std::shared_ptr<Shell>, StartFailure> start(const ShellOptions& options,
                                                                   ShellEvents events);
  ~Shell();
  Shell(const Shell&) = delete;
  Shell& operator=(const Shell&) = delete;

  /// Hands over the next command, which prints to one of kOutputFds; the one before must have ended. False:
  /// the machine refused (no memory). Quickest with the output of the one before. A shell's first command may
  /// print to kNowhereFd.
  bool run(std::string_view command, int output);

  /// Stops reporting, closes the pipes and kills the bash process (not its children), if it still runs.
  void stop();

  pid_t pid() const noexcept { return pid_; }
  /// Of the bash process, or of what it became.
  std::vector<pid_t> children() const { return children_->of_all_threads(); }
  /// Whether bash had read the last command's line to its end when it died: if not, nothing of it was run.
  bool begun() const noexcept { return begun_; }
  /// Whether it was killed as it could no longer be driven: a pipe closed, a builtin disabled.
  bool given_up() const noexcept { return given_up_; }
  /// What bash has said meanwhile of background jobs that were killed, a line each; once.
  std::string take_notices() { return std::exchange(notices_, {}); }
  /// Where the shell was when its last command ended.
  const std::string& directory() const noexcept { return directory_; }
  /// `declare -x` lines of the exported variables at that time; empty before the first command's end. Nothing
  /// when they are larger than any program can be given. Where the shell died before it had told them all,
  /// those of the command before.
  std::optional<std::string> exports();
  /// Whether they are not those of the last command that has ended.
  bool exports_are_old();
  /// Whether the last command's end was told, if at all, only after it was asked for again.
  bool asked_again() const noexcept { return asked_again_; }
  /// What bash printed where none of a command's redirections held, of a shell that has died while a command
  /// ran or was asked again: of its EXIT trap, where it was `set -e` that ended it, and of a trap that has
  /// kept the command from being run. Up to 64 KiB; nothing where traces of our own line are in it.
  std::string_view own_output() const;

 private:
  Shell(const ShellOptions& options, ShellEvents events);
  std::optional<StartFailure> spawn(const ShellOptions& options);
  void wait_for_status();
  void read_status();
  void take_status(std::string_view bytes);
  void read_exports();
  void make_room_for_exports();
  void read_own_output();
  void end_reports();
  void watch_process();
  void tick();
  void check_process();
  void prepare();
  void prepare_soon();
  struct Line {
    std::string word;  // that tells the command's end; empty: there is no such line
    int output = kNowhereFd;
    Guard guard = Guard::off;
  };
  static Line new_line(int output, Guard guard);
  bool hand_over(std::string_view command, Line line);
  bool hand_over(std::string_view command, std::string_view lines);
  bool send(std::string_view lines);
  bool ask_again();

  ShellEvents events_;
  std::string directory_;
  pid_t pid_ = -1;
  std::optional<ChildList> children_;  // once it is started
  bool running_ = false;               // a command
  bool asked_again_ = false;           // for its end
  bool begun_ = false;
  bool given_up_ = false;
  bool over_ = false;
  std::optional<ScriptLink> script_;  // until bash has opened it
  UniqueFd command_;                  // memory file with the command's text
  UniqueFd exports_pipe_;             // read end
  UniqueFd own_output_pipe_;  // the same, of what bash prints while none of a command's redirections hold
  UniqueFd control_;          // write end: one line makes bash run what the memory file holds
  UniqueFd control_waiting_;  // bash's end
  boost::asio::posix::stream_descriptor status_;
  boost::asio::posix::stream_descriptor process_;  // pidfd, where the kernel has them
  boost::asio::steady_timer tick_;
  Line line_;                             // of the last command
  Line prepared_;                         // that bash has for the next one
  Line postponed_line_;                   // for a command that needs another one
  std::optional<std::string> postponed_;  // that command, until an empty one has used the prepared line up
  std::string record_;                    // of the status pipe, as far as it has come
  BetweenMarks exports_;                  // when the last command ended; the mark is its word
  bool list_missed_ = false;              // those of the command before it didn't come
  bool list_changes_nothing_ = false;     // the expected one is of the empty command
  std::string own_output_;                // since the last command was handed over
  std::string notices_;
};

/// Whether `pid` is a shell that is still ours to reap.
bool is_live_shell(pid_t pid);

/// All of these.
const std::set<pid_t>& live_shells();

}  // namespace sandbox_worker::tools
