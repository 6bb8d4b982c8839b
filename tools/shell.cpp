#include "tools/shell.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <ctime>
#include <set>
#include <string>
#include <utility>

#include "tools/bash_process.hpp"
#include "tools/descendants.hpp"
#include "tools/process_table.hpp"
#include "tools/shell_lines.hpp"
#include "tools/system_error.hpp"

namespace sandbox_worker::tools {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

/// A word and a status are shorter; whatever else a command may write there is dropped.
constexpr std::size_t kMaxRecord = 100;

/// How often a running command's shell is looked at, for what no descriptor tells.
constexpr auto kTick = std::chrono::milliseconds(100);

/// The kernel gives no program more (a quarter of the stack's limit, usually 2 MiB), so larger exports serve
/// nobody and are not kept.
constexpr std::size_t kMaxExports = 2 * 1024 * 1024;

/// Kept of what bash itself prints while a command runs: as much as its pipe holds.
constexpr std::size_t kMaxOwnOutput = 64 * 1024;

/// Room for exported variables that don't fit into a usual pipe, so that bash doesn't wait for somebody to
/// take them. What any process may ask for, but a user has only so much for all pipes, so it isn't asked for
/// ahead.
constexpr int kLargePipe = 1024 * 1024;
/// Where so much waits and more is to come, it doesn't fit.
constexpr int kFullPipe = 32 * 1024;

std::set<pid_t>& shells() {
  static std::set<pid_t> pids;
  return pids;
}

void set_nonblocking(int fd) {
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/// Replaces what a memory file holds. Cutting it first would free its pages, which costs more than all else.
bool put(int file, std::string_view text) {
  off_t end = 0;
  while (!text.empty()) {
    const ssize_t written = ::pwrite(file, text.data(), text.size(), end);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
    end += written;
  }
  struct stat info{};
  return ::fstat(file, &info) == 0 && (info.st_size == end || ::ftruncate(file, end) == 0);
}

/// Eight digits that nobody can guess. Short, as bash reads them byte by byte too.
std::string random_word() {
  std::uint32_t random = 0;
  // Never short nor interrupted for so few bytes.
  if (::getrandom(&random, sizeof random, 0) != sizeof random) random = static_cast<std::uint32_t>(::clock());
  return fmt::format("{:08x}", random);
}

/// Nothing where the line wasn't ours.
std::optional<int> status_after(std::string_view word, std::string_view line) {
  const auto at = line.rfind(word);
  if (at == std::string_view::npos) return std::nullopt;
  const auto digits = line.substr(std::min(at + word.size() + 1, line.size()));
  int status = 0;
  if (std::from_chars(digits.data(), digits.data() + digits.size(), status).ec != std::errc())
    return std::nullopt;
  return status;
}

/// Gives `take` what is in a pipe now, until it says no, and no more than some pipes hold: somebody may write
/// for ever. A read that doesn't fill its buffer has emptied the pipe, so that no second one is spent on
/// every command to hear so.
template <class Take>
void drain(int fd, Take take) {
  constexpr int kMaxReads = 256;
  std::array<char, 16 * 1024> buffer;
  bool more = true;
  for (int reads = 0; more && reads < kMaxReads; ++reads) {
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count <= 0) return;
    more = take(std::string_view(buffer.data(), static_cast<std::size_t>(count))) &&
           count == static_cast<ssize_t>(buffer.size());
  }
}

int bytes_waiting(int fd) {
  int count = 0;
  return ::ioctl(fd, FIONREAD, &count) == 0 ? count : -1;
}

}  // namespace

bool is_live_shell(pid_t pid) {
  return shells().contains(pid);
}

const std::set<pid_t>& live_shells() {
  return shells();
}

Shell::Shell(const ShellOptions& options, ShellEvents events)
    : events_(std::move(events)),
      directory_(options.place.directory),
      status_(options.executor),
      process_(options.executor),
      tick_(options.executor),
      exports_(kMaxExports) {}

Shell::~Shell() {
  stop();
}

std::expected<std::shared_ptr<Shell>, StartFailure> Shell::start(const ShellOptions& options,
                                                                 ShellEvents events) {
  std::shared_ptr<Shell> shell(new Shell(options, std::move(events)));
  if (auto problem = shell->spawn(options)) return std::unexpected(*std::move(problem));
  shell->wait_for_status();
  shell->watch_process();
  return shell;
}

std::optional<StartFailure> Shell::spawn(const ShellOptions& options) {
  over_ = true;  // until there is a process
  command_.reset(::memfd_create("command", MFD_CLOEXEC));
  if (!command_) return StartFailure{.text = system_error_text("make", "a memory file for the shell", errno)};
  if (auto link = ScriptLink::make(options.private_dir)) script_.emplace(std::move(*link));
  auto started = start_bash({.directory = options.place.directory,
                             .script_place = script_ ? script_->directory() : "",
                             .environment = options.environment,
                             .tag = options.tag,
                             .command = command_.get(),
                             .outputs = options.outputs,
                             .control_group = options.control_group});
  if (!started) return started.error();
  over_ = false;
  pid_ = started->pid;
  children_.emplace(pid_);
  shells().insert(pid_);
  control_ = std::move(started->control);
  control_waiting_ = std::move(started->control_waiting);
  set_nonblocking(control_.get());
  set_nonblocking(started->status.get());
  exports_pipe_ = std::move(started->exports);
  set_nonblocking(exports_pipe_.get());
  own_output_pipe_ = std::move(started->own_output);
  set_nonblocking(own_output_pipe_.get());
  status_.assign(started->status.release());
#ifdef SYS_pidfd_open
  const int process = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  if (process >= 0) process_.assign(process);
#endif
  if (!send(first_shell_lines(options.place.name, options.place.old_directory)))
    return StartFailure{.text = system_error_text("write to", "the shell", errno)};
  return std::nullopt;
}

bool Shell::run(std::string_view command, int output) {
  if (over_) return false;
  auto line = new_line(output, may_define_builtin(command) ? Guard::on : Guard::off);
  if (prepared_.word.empty()) {
    if (!hand_over(command, std::move(line))) return false;
  } else {
    const bool fits = line.output == prepared_.output && line.guard == prepared_.guard;
    if (!fits) {
      postponed_ = command;
      postponed_line_ = std::move(line);
    }
    line_ = std::exchange(prepared_, {});
    if (!hand_over(fits ? command : std::string_view(), kLineRest)) return false;
  }
  running_ = true;
  tick();
  return true;
}

Shell::Line Shell::new_line(int output, Guard guard) {
  return {.word = random_word(), .output = output, .guard = guard};
}

bool Shell::hand_over(std::string_view command, Line line) {
  line_ = std::move(line);
  return hand_over(command, run_line(line_.word, line_.output, line_.guard).append(kLineRest));
}

bool Shell::hand_over(std::string_view command, std::string_view lines) {
  read_exports();
  asked_again_ = false;
  read_own_output();
  notices_ += job_notices(std::exchange(own_output_, {}));
  return put(command_.get(), without_last_continuation(command)) && send(lines);
}

/// The pipe holds nothing but what bash hasn't read yet of the lines before, so this always fits.
bool Shell::send(std::string_view lines) {
  return ::write(control_.get(), lines.data(), lines.size()) == static_cast<ssize_t>(lines.size());
}

/// Bash has dropped the end of the line with the command, or can't do what stands there; which of these, this
/// shows. False: it had its chance.
bool Shell::ask_again() {
  if (asked_again_) return false;
  asked_again_ = true;
  return send(end_line(line_.word, line_.output, line_.guard));
}

/// Gives bash the next command's line but for its rest. Reading it byte by byte takes a third of all that we
/// add to a command, and nobody waits for it now.
void Shell::prepare() {
  if (over_ || running_ || !prepared_.word.empty()) return;
  prepared_ = new_line(line_.output == kNowhereFd ? kOutputFds.front() : line_.output, Guard::off);
  if (!send(run_line(prepared_.word, prepared_.output, prepared_.guard))) prepared_.word.clear();
}

/// When who waits for the last command has heard of its end.
void Shell::prepare_soon() {
  asio::post(status_.get_executor(), [self = shared_from_this()] { self->prepare(); });
}

void Shell::end_reports() {
  over_ = true;
  script_.reset();
  error_code ignored;
  tick_.cancel();
  status_.close(ignored);
  process_.close(ignored);
}

void Shell::stop() {
  if (over_) return;
  end_reports();
  // If it doesn't end at once it becomes a zombie that the next reaping of orphans takes.
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, WNOHANG);
  shells().erase(pid_);
}

/// Waits and then reads in one turn, so that check_process() never takes what comes later first.
void Shell::wait_for_status() {
  status_.async_wait(asio::posix::stream_descriptor::wait_read,
                     [self = shared_from_this()](error_code error) {
                       if (error || self->over_) return;
                       self->read_status();
                       if (!self->over_) self->wait_for_status();
                     });
}

void Shell::read_status() {
  if (over_) return;
  script_.reset();  // what tells something has been opened
  drain(status_.native_handle(), [this](std::string_view bytes) {
    take_status(bytes);
    return !over_;
  });
}

/// For each command a line that ends with its word and its status.
void Shell::take_status(std::string_view bytes) {
  while (!bytes.empty() && !over_) {
    const auto end = bytes.find('\n');
    record_ += bytes.substr(0, end);
    if (record_.size() > kMaxRecord) record_.erase(0, record_.size() - kMaxRecord);
    if (end == std::string_view::npos) return;
    bytes.remove_prefix(end + 1);
    const auto status = status_after(line_.word, std::exchange(record_, {}));
    if (!running_ || !status) continue;
    read_exports();  // those of the command before have all come by now
    list_missed_ = exports_.expects();
    exports_.expect(line_.word + '\n');
    list_changes_nothing_ = postponed_ && !list_missed_;
    if (asked_again_) read_own_output();
    if (postponed_) {
      // Where the machine refuses, or an output may be closed, the shell ends before the command has begun.
      if (!list_missed_ && hand_over(*postponed_, std::move(postponed_line_)))
        postponed_.reset();
      else if (is_live_shell(pid_) && ::kill(pid_, SIGKILL) == 0)
        given_up_ = true;
      continue;
    }
    running_ = false;
    tick_.cancel();
    if (auto directory = working_directory_of(pid_); !directory.empty()) directory_ = std::move(directory);
    events_.ended(*status);
    prepare_soon();
  }
}

/// Takes what has come of the list that is expected, and no more: what the command itself may write there, or
/// what comes before the end that announces it has been heard of, stays in the pipe.
void Shell::read_exports() {
  if (!exports_.expects()) return;
  const bool full = bytes_waiting(exports_pipe_.get()) >= kFullPipe;
  drain(exports_pipe_.get(), [this](std::string_view bytes) {
    exports_.feed(bytes);
    return exports_.expects();
  });
  if (full && exports_.expects()) make_room_for_exports();
}

void Shell::make_room_for_exports() {
  ::fcntl(exports_pipe_.get(), F_SETPIPE_SZ, kLargePipe);
}

/// The beginning of what has come; the rest is dropped, so that bash never waits for room.
void Shell::read_own_output() {
  drain(own_output_pipe_.get(), [this](std::string_view bytes) {
    own_output_ += bytes.substr(0, kMaxOwnOutput - own_output_.size());
    return true;
  });
}

std::string_view Shell::own_output() const {
  const bool traced = own_output_.contains(kTracedPart);
  return traced ? std::string_view() : own_output_;
}

std::optional<std::string> Shell::exports() {
  read_exports();
  return exports_.text();
}

bool Shell::exports_are_old() {
  read_exports();
  return exports_.expects() && !list_changes_nothing_;
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
  read_status();  // a last command may have ended just before
  if (over_) return;
  end_reports();
  read_exports();
  if (running_) read_own_output();
  const bool end_was_read = asked_again_ || bytes_waiting(control_waiting_.get()) < kUnreadBefore;
  begun_ = !running_ || (!postponed_ && end_was_read);
  events_.died(status);
}

void Shell::tick() {
  tick_.expires_after(kTick);
  tick_.async_wait([self = shared_from_this()](error_code error) {
    if (error || self->over_ || !self->running_) return;
    reap_orphans();  // a long command may leave very many
    self->check_process();
    if (self->over_ || !self->running_) return;
    self->read_exports();  // bash may wait for room, and so may a command that writes there
    if (bytes_waiting(self->exports_pipe_.get()) >= kFullPipe) self->make_room_for_exports();
    self->read_own_output();
    // The comment after the command's line has been read, so bash is done with it; but no status came.
    if (bytes_waiting(self->control_waiting_.get()) == 0 &&
        bytes_waiting(self->status_.native_handle()) == 0 && !self->ask_again()) {
      self->events_.stuck();
      return;
    }
    self->tick();
  });
}

}  // namespace sandbox_worker::tools
