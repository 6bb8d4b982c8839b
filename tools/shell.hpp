#pragma once

#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/environment.hpp"
#include "tools/unique_fd.hpp"

namespace sandbox_worker::tools {

struct ShellOptions {
  boost::asio::any_io_executor executor;
  std::string directory;
  Environment environment;
  std::uint64_t tag = 0;  // see process_tag
};

/// What a shell reports, always from the executor and never from within one of its own functions.
struct ShellEvents {
  std::function<void(std::string_view bytes)> output;  // of the command, or of what earlier ones left running
  std::function<void(int status)> ended;               // the command; all of its own output came before
  std::function<void(int wait_status)> died;  // the shell, after its last output; nothing comes later
  std::function<void()> stuck;                // it reads on but no longer does what it is told
};

/// One bash in a session of its own, that is handed one command at a time. The text of a command lies in a
/// memory file, its end is told through a private pipe: neither touches the syntax or the output of the
/// other. Use on the executor only.
class Shell : public std::enable_shared_from_this<Shell> {
 public:
  static std::expected<std::shared_ptr<Shell>, std::string> start(const ShellOptions& options,
                                                                  ShellEvents events);
  ~Shell();
  Shell(const Shell&) = delete;
  Shell& operator=(const Shell&) = delete;

  /// Hands over the next command; the one before must have ended. False: the machine refused (no memory).
  bool run(std::string_view command);

  /// Stops reporting, closes the pipes and kills the bash process (not its children), if it still runs.
  void stop();

  pid_t pid() const noexcept { return pid_; }
  /// Where the shell was when its last command ended.
  const std::string& directory() const noexcept { return directory_; }
  /// `declare -x` lines of the exported variables at that time.
  const std::string& exports() const noexcept { return exports_; }

 private:
  Shell(const ShellOptions& options, ShellEvents events);
  std::optional<std::string> spawn(const ShellOptions& options);
  void read_output();
  void read_status();
  void take_status(std::string_view bytes);
  void drain_output();
  void watch_process();
  void tick();
  void check_process();

  ShellEvents events_;
  std::string directory_;
  std::string exports_;
  pid_t pid_ = -1;
  bool running_ = false;  // a command
  bool over_ = false;
  UniqueFd command_;      // memory file with the command's text
  UniqueFd control_in_;   // write end: one line makes bash run what the memory file holds
  UniqueFd control_out_;  // bash's end, kept open so that writing never raises SIGPIPE
  boost::asio::posix::stream_descriptor status_;
  boost::asio::posix::stream_descriptor output_;
  boost::asio::posix::stream_descriptor process_;  // pidfd, where the kernel has them
  boost::asio::steady_timer tick_;
  std::string record_;  // the field of the status pipe that is being read
  bool reading_exports_ = false;
  std::vector<char> output_buffer_;
  std::vector<char> status_buffer_;
};

/// Whether `pid` is a shell that is still ours to reap.
bool is_live_shell(pid_t pid);

/// Number of shells that run.
std::size_t live_shells();

/// Marks every process that a tool's shells start, in a resource limit that nobody uses otherwise: it
/// survives exec, setsid, double forks and an emptied environment. 0: can't be told.
std::uint64_t process_tag(pid_t pid);
std::uint64_t new_process_tag();

}  // namespace sandbox_worker::tools
