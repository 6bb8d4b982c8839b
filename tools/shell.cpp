#include "tools/shell.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <set>
#include <utility>

#include "tools/process_table.hpp"

namespace sandbox_worker::tools {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr const char* kBash = "/bin/bash";

// Where the child finds its private descriptors: above those that scripts name, below those that bash picks
// last.
constexpr int kStatusFd = 90;
constexpr int kOutputFd = 91;
constexpr int kCommandFd = 92;

/// Runs the command in the memory file. The redirections belong to eval: bash keeps close-on-exec copies of
/// its own descriptors meanwhile and puts them back afterwards, whatever `exec` did to 0, 1 and 2, and traces
/// of these lines go to /dev/null. No variable, loop or function is used, so that `set`, `break` and `return`
/// see none. The comment at the end is read only when bash is done with the line before; see Shell::tick.
constexpr std::string_view kRunLine =
    "\\builtin eval \"${-:LINENO=1:0}$(</proc/self/fd/92)\" 0</dev/null 1>&91 2>&1 90>&- 91>&- 92<&-;"
    " \\builtin printf '%d\\0' \"$?\" >&90; \\builtin export -p >&90; \\builtin printf '\\0' >&90\n"
    "#\n";

/// The same for a command that may make a function named `builtin`, which would take the place of ours: it is
/// removed. Assigning POSIXLY_CORRECT needs no command and can hold the status; in that mode no function
/// hides the special builtin `unset`; leaving it clears options that are set again.
constexpr std::string_view kGuardedRunLine =
    "\\builtin eval \"${-:LINENO=1:0}$(</proc/self/fd/92)\" 0</dev/null 1>&91 2>&1 90>&- 91>&- 92<&-;"
    " POSIXLY_CORRECT=1$?; \\unset -f builtin; \\builtin printf '%d\\0' \"${POSIXLY_CORRECT#1}\" >&90;"
    " \\unset POSIXLY_CORRECT; \\builtin shopt -s expand_aliases; \\builtin shopt -u inherit_errexit;"
    " \\builtin export -p >&90; \\builtin printf '\\0' >&90\n"
    "#\n";

bool may_define_builtin(std::string_view command) {
  const auto has = [&](std::string_view part) { return command.find(part) != std::string_view::npos; };
  return has("builtin") && (has("()") || has("( )") || has("function"));
}

constexpr std::string_view kFirstLine = "\\shopt -s expand_aliases\n";

/// How often a running command's shell is looked at, for what no descriptor tells.
constexpr auto kTick = std::chrono::milliseconds(100);

constexpr std::size_t kReadSize = 64 * 1024;

/// Out of memory, the kernel should take what the agent started before the worker.
constexpr std::string_view kOomScore = "800";

std::set<pid_t>& shells() {
  static std::set<pid_t> pids;
  return pids;
}

struct Pipe {
  UniqueFd read;
  UniqueFd write;

  static std::optional<Pipe> make() {
    std::array<int, 2> ends;
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
    return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  }
};

void set_nonblocking(int fd) {
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

int bytes_waiting(int fd) {
  int count = 0;
  return ::ioctl(fd, FIONREAD, &count) == 0 ? count : -1;
}

struct ChildSetup {
  const char* directory;
  char* const* argv;
  char* const* envp;
  int control;
  int status;
  int output;
  int command;
  int report;
  pid_t parent;
  std::uint64_t tag;
};

void close_all_between(unsigned first, unsigned last) {
  if (::syscall(SYS_close_range, first, last, 0) == 0) return;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const auto end = static_cast<unsigned>(limit.rlim_cur < 65536 ? limit.rlim_cur : 65536);
  for (unsigned fd = first; fd <= last && fd < end; ++fd) ::close(static_cast<int>(fd));
}

/// Between fork and exec: only calls that are safe there. Process v2 has no say over descriptors above 2 (it
/// passes all open ones on) and waits for the child in destructors, so this is done by hand.
[[noreturn]] void become_bash(const ChildSetup& setup) {
  const auto fail = [&] {
    const int reason = errno;
    [[maybe_unused]] const ssize_t told = ::write(setup.report, &reason, sizeof reason);
    ::_exit(127);
  };
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != setup.parent) ::_exit(127);
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  // First above all targets, so that none of them is overwritten before its turn.
  const auto lift = [&](int fd) { return ::fcntl(fd, F_DUPFD, 100); };
  const int control = lift(setup.control);
  const int status = lift(setup.status);
  const int output = lift(setup.output);
  const int command = lift(setup.command);
  const int report = lift(setup.report);
  const int null = ::open("/dev/null", O_RDWR);
  if (null < 0 || ::dup2(control, 0) < 0 || ::dup2(null, 1) < 0 || ::dup2(null, 2) < 0 ||
      ::dup2(status, kStatusFd) < 0 || ::dup2(output, kOutputFd) < 0 || ::dup2(command, kCommandFd) < 0 ||
      ::dup2(report, 3) < 0)
    fail();
  ::fcntl(3, F_SETFD, FD_CLOEXEC);
  close_all_between(4, kStatusFd - 1);
  close_all_between(kCommandFd + 1, ~0U);
  const int score = ::open("/proc/self/oom_score_adj", O_WRONLY);
  if (score >= 0) {
    [[maybe_unused]] const ssize_t written = ::write(score, kOomScore.data(), kOomScore.size());
    ::close(score);
  }
  const rlimit mark{.rlim_cur = setup.tag, .rlim_max = setup.tag};
  if (setup.tag != 0) ::setrlimit(RLIMIT_RTTIME, &mark);
  const ChildSetup moved{setup.directory, setup.argv, setup.envp,   0,        kStatusFd, kOutputFd,
                         kCommandFd,      3,          setup.parent, setup.tag};
  if (::chdir(moved.directory) == 0) ::execve(kBash, moved.argv, moved.envp);
  const int reason = errno;
  [[maybe_unused]] const ssize_t told = ::write(moved.report, &reason, sizeof reason);
  ::_exit(127);
}

}  // namespace

bool is_live_shell(pid_t pid) {
  return shells().contains(pid);
}

std::size_t live_shells() {
  return shells().size();
}

std::uint64_t new_process_tag() {
  static std::uint64_t count = 0;
  // Microseconds of real-time computing without a pause: decades, so that it never takes effect.
  return (1ULL << 52U) + (static_cast<std::uint64_t>(::getpid()) << 20U) + ++count;
}

std::uint64_t process_tag(pid_t pid) {
  rlimit limit{};
  if (::prlimit(pid, RLIMIT_RTTIME, nullptr, &limit) != 0) return 0;
  return limit.rlim_cur;
}

Shell::Shell(const ShellOptions& options, ShellEvents events)
    : events_(std::move(events)),
      directory_(options.directory),
      status_(options.executor),
      output_(options.executor),
      process_(options.executor),
      tick_(options.executor),
      output_buffer_(kReadSize),
      status_buffer_(4096) {}

Shell::~Shell() {
  stop();
}

std::expected<std::shared_ptr<Shell>, std::string> Shell::start(const ShellOptions& options,
                                                                ShellEvents events) {
  std::shared_ptr<Shell> shell(new Shell(options, std::move(events)));
  if (auto problem = shell->spawn(options)) return std::unexpected(*std::move(problem));
  shell->read_output();
  shell->read_status();
  shell->watch_process();
  return shell;
}

std::optional<std::string> Shell::spawn(const ShellOptions& options) {
  const auto failed = [](std::string_view what) {
    return fmt::format("the shell can't be started: {}: {}", what, std::strerror(errno));
  };
  auto control = Pipe::make();
  auto status = Pipe::make();
  auto output = Pipe::make();
  auto report = Pipe::make();
  command_.reset(::memfd_create("command", MFD_CLOEXEC));
  if (!control || !status || !output || !report || !command_) return failed("descriptors");

  // Orphans of the session come to us instead of to init, so that they can be found and reaped.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);

  std::vector<std::string> arguments{"bash", "--norc", "--noprofile"};
  std::vector<std::string> variables = options.environment;
  // BASH_ENV would be read by this very shell, from the pipe of our lines; it is exported in Bash instead.
  std::erase_if(variables, [](const std::string& entry) { return entry.starts_with("BASH_ENV="); });
  const auto pointers = [](std::vector<std::string>& strings) {
    std::vector<char*> result;
    for (auto& string : strings) result.push_back(string.data());
    result.push_back(nullptr);
    return result;
  };
  const auto argv = pointers(arguments);
  const auto envp = pointers(variables);
  const ChildSetup setup{.directory = options.directory.c_str(),
                         .argv = argv.data(),
                         .envp = envp.data(),
                         .control = control->read.get(),
                         .status = status->write.get(),
                         .output = output->write.get(),
                         .command = command_.get(),
                         .report = report->write.get(),
                         .parent = ::getpid(),
                         .tag = options.tag};
  pid_ = ::fork();
  if (pid_ < 0) return failed("fork");
  if (pid_ == 0) become_bash(setup);
  report->write.reset();
  int reason = 0;
  ssize_t told = 0;
  do told = ::read(report->read.get(), &reason, sizeof reason);
  while (told < 0 && errno == EINTR);
  if (told != 0) {
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
    over_ = true;
    errno = told > 0 ? reason : EIO;
    return failed(errno == ENOENT && ::access(kBash, X_OK) != 0 ? kBash : options.directory);
  }
  shells().insert(pid_);

  control_out_ = std::move(control->read);
  control_in_ = std::move(control->write);
  set_nonblocking(control_in_.get());
  set_nonblocking(status->read.get());
  set_nonblocking(output->read.get());
  status_.assign(status->read.release());
  output_.assign(output->read.release());
#ifdef SYS_pidfd_open
  const int process = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  if (process >= 0) process_.assign(process);
#endif
  if (::write(control_in_.get(), kFirstLine.data(), kFirstLine.size()) < 0) return failed("control pipe");
  return std::nullopt;
}

bool Shell::run(std::string_view command) {
  if (over_ || ::ftruncate(command_.get(), 0) != 0) return false;
  for (std::size_t done = 0; done < command.size();) {
    const auto rest = command.substr(done);
    const ssize_t written = ::pwrite(command_.get(), rest.data(), rest.size(), static_cast<off_t>(done));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    done += static_cast<std::size_t>(written);
  }
  const auto lines = may_define_builtin(command) ? kGuardedRunLine : kRunLine;
  // The pipe holds nothing but what bash hasn't read yet of the lines before, so this always fits.
  if (::write(control_in_.get(), lines.data(), lines.size()) != static_cast<ssize_t>(lines.size()))
    return false;
  running_ = true;
  tick();
  return true;
}

void Shell::stop() {
  if (over_) return;
  over_ = true;
  error_code ignored;
  tick_.cancel();
  status_.close(ignored);
  output_.close(ignored);
  process_.close(ignored);
  // If it doesn't end at once it becomes a zombie that the next reaping of orphans takes.
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, WNOHANG);
  shells().erase(pid_);
}

void Shell::read_output() {
  output_.async_read_some(asio::buffer(output_buffer_),
                          [self = shared_from_this()](error_code error, std::size_t count) {
                            if (error || self->over_) return;
                            self->events_.output({self->output_buffer_.data(), count});
                            if (!self->over_) self->read_output();
                          });
}

void Shell::read_status() {
  status_.async_read_some(asio::buffer(status_buffer_),
                          [self = shared_from_this()](error_code error, std::size_t count) {
                            if (error || self->over_) return;
                            self->take_status({self->status_buffer_.data(), count});
                            if (!self->over_) self->read_status();
                          });
}

/// For each command: its status, NUL, the exported variables, NUL.
void Shell::take_status(std::string_view bytes) {
  while (!bytes.empty() && !over_) {
    const auto end = bytes.find('\0');
    record_ += bytes.substr(0, end);
    if (end == std::string_view::npos) return;
    bytes.remove_prefix(end + 1);
    std::string field = std::exchange(record_, {});
    if (std::exchange(reading_exports_, !reading_exports_)) {
      exports_ = std::move(field);
      continue;
    }
    int status = 0;
    std::from_chars(field.data(), field.data() + field.size(), status);
    if (!running_) continue;
    running_ = false;
    tick_.cancel();
    drain_output();
    if (auto directory = working_directory_of(pid_); !directory.empty()) directory_ = std::move(directory);
    if (!over_) events_.ended(status);
  }
}

/// Reads what has been printed so far, and no more: a background job may print for ever.
void Shell::drain_output() {
  int waiting = bytes_waiting(output_.native_handle());
  std::vector<char> buffer;
  while (waiting > 0 && !over_) {
    buffer.resize(std::min(kReadSize, static_cast<std::size_t>(waiting)));
    const ssize_t count = ::read(output_.native_handle(), buffer.data(), buffer.size());
    if (count <= 0) return;
    waiting -= static_cast<int>(count);
    events_.output({buffer.data(), static_cast<std::size_t>(count)});
  }
}

void Shell::watch_process() {
  if (!process_.is_open()) return;
  process_.async_wait(asio::posix::stream_descriptor::wait_read,
                      [self = shared_from_this()](error_code error) {
                        if (!error && !self->over_) self->check_process();
                      });
}

void Shell::check_process() {
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return;
  shells().erase(pid_);
  // A last command may have ended just before.
  std::array<char, 4096> rest;
  ssize_t count = 0;
  while (!over_ && (count = ::read(status_.native_handle(), rest.data(), rest.size())) > 0)
    take_status({rest.data(), static_cast<std::size_t>(count)});
  if (over_) return;
  drain_output();
  over_ = true;
  error_code ignored;
  tick_.cancel();
  status_.close(ignored);
  output_.close(ignored);
  process_.close(ignored);
  events_.died(status);
}

void Shell::tick() {
  tick_.expires_after(kTick);
  tick_.async_wait([self = shared_from_this()](error_code error) {
    if (error || self->over_ || !self->running_) return;
    self->check_process();
    if (self->over_ || !self->running_) return;
    // The comment after the command's line has been read, so bash is done with it; but no status came.
    if (bytes_waiting(self->control_out_.get()) == 0 && bytes_waiting(self->status_.native_handle()) == 0) {
      self->events_.stuck();
      return;
    }
    self->tick();
  });
}

}  // namespace sandbox_worker::tools
