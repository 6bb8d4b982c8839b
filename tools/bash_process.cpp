#include "tools/bash_process.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

#include "tools/pointers.hpp"
#include "tools/prompt_thread.hpp"
#include "tools/script_link.hpp"
#include "tools/system_error.hpp"

namespace sandbox_worker::tools {
namespace {

constexpr const char* kBash = "/bin/bash";

/// Which of the arguments is the script.
constexpr std::size_t kScriptArgument = 3;

/// Out of memory, the kernel should take what the agent started before the worker.
constexpr std::string_view kOomScore = "800";

/// Milliseconds for a child to be in its directory and to be bash, which takes some: the main thread waits
/// for that, and the file system may have died since somebody looked.
constexpr int kStartLimit = 5000;

/// Microseconds of real-time computing without a pause: decades, so that it never takes effect.
constexpr std::uint64_t kTagBase = 1ULL << 62U;
/// The lowest bits count, those above are random.
constexpr unsigned kTagCountBits = 20;

struct Pipe {
  UniqueFd read;
  UniqueFd write;

  static std::optional<Pipe> make() {
    std::array<int, 2> ends;
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
    return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  }
};

/// What a child tells when it can't become bash.
struct Failure {
  bool of_directory = false;
  int error = 0;
};

struct ChildSetup {
  const char* directory;
  const char* script_place;
  char* script_elsewhere;
  char** argv;
  char* const* envp;
  int control;
  int status;
  int own_output;
  std::array<int, kOutputs> outputs;
  int command;
  int exports;
  int report;
  pid_t parent;
  std::uint64_t tag;
  unsigned long timer_slack;  // nanoseconds
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
  int report = setup.report;
  const auto fail = [&](bool of_directory) {
    const Failure failure{.of_directory = of_directory, .error = errno};
    [[maybe_unused]] const ssize_t told = ::write(report, &failure, sizeof failure);
    ::_exit(127);
  };
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_TIMERSLACK, setup.timer_slack);
  if (::getppid() != setup.parent) ::_exit(127);
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  // First above all targets, so that none of them is overwritten before its turn.
  const auto lift = [&](int fd) {
    const int lifted = ::fcntl(fd, F_DUPFD, 100);
    if (lifted < 0) fail(false);
    return lifted;
  };
  const int control = lift(setup.control);
  report = lift(report);
  const int own_output = lift(setup.own_output);
  const int null = lift(::open("/dev/null", O_RDWR));
  std::array<int, 5 + kOutputs> privates{lift(setup.status)};
  std::ranges::transform(setup.outputs, privates.begin() + 1, lift);
  const std::array others{lift(setup.command), lift(setup.exports), null, control};
  std::ranges::copy(others, privates.end() - others.size());
  if (::dup2(null, 0) < 0 || ::dup2(own_output, 1) < 0 || ::dup2(own_output, 2) < 0 || ::dup2(report, 3) < 0)
    fail(false);
  int next = kFirstPrivateFd;
  for (const int fd : privates)
    if (::dup2(fd, next++) < 0) fail(false);
  report = 3;
  ::fcntl(report, F_SETFD, FD_CLOEXEC);
  close_all_between(4, kFirstPrivateFd - 1);
  close_all_between(static_cast<unsigned>(next), ~0U);
  const int score = ::open("/proc/self/oom_score_adj", O_WRONLY);
  if (score >= 0) {
    [[maybe_unused]] const ssize_t written = ::write(score, kOomScore.data(), kOomScore.size());
    ::close(score);
  }
  const rlimit mark{.rlim_cur = setup.tag, .rlim_max = setup.tag};
  if (setup.tag != 0) ::setrlimit(RLIMIT_RTTIME, &mark);
  if (::chdir(setup.directory) != 0) fail(true);
  if (!ScriptLink::enter(setup.script_place)) setup.argv[kScriptArgument] = setup.script_elsewhere;
  ::execve(kBash, setup.argv, setup.envp);
  fail(false);
  ::abort();
}

/// A child inside of the group where that is possible: joining it later takes the kernel tens of
/// milliseconds.
pid_t fork_into(int control_group) {
#ifdef CLONE_INTO_CGROUP
  if (control_group >= 0) {
    clone_args arguments{};
    arguments.flags = CLONE_INTO_CGROUP;
    arguments.exit_signal = SIGCHLD;
    arguments.cgroup = static_cast<std::uint64_t>(control_group);
    const auto pid = static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
    if (pid >= 0) return pid;
  }
#endif
  return ::fork();
}

/// BASH_ENV would be read by this very shell, before our lines; it is exported in Bash instead. Functions of
/// the other names would take the place of the builtins that these lines need.
bool spoils_the_start(std::string_view variable) {
  constexpr std::array<std::string_view, 5> kNames{
      "BASH_ENV=", "BASH_FUNC_builtin%%=", "BASH_FUNC_eval%%=", "BASH_FUNC_exec%%=", "BASH_FUNC_shopt%%="};
  return std::ranges::any_of(kNames, [&](std::string_view name) { return variable.starts_with(name); });
}

/// Whether the child says in time what has become of it, or is bash.
bool is_told(int report) {
  pollfd told{.fd = report, .events = POLLIN, .revents = 0};
  int ready = 0;
  do ready = ::poll(&told, 1, kStartLimit);
  while (ready < 0 && errno == EINTR);
  return ready != 0;
}

}  // namespace

std::expected<BashProcess, StartFailure> start_bash(const BashStart& start) {
  const auto failed = [](std::string_view operation, std::string_view object, int error) {
    return std::unexpected(StartFailure{.text = system_error_text(operation, object, error)});
  };
  auto control = Pipe::make();
  auto status = Pipe::make();
  auto exports = Pipe::make();
  auto own_output = Pipe::make();
  auto report = Pipe::make();
  if (!control || !status || !exports || !own_output || !report)
    return failed("make", "pipes for the shell", errno);

  // Orphans of the session come to us instead of to init, so that they can be found and reaped.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);

  std::vector<std::string> arguments{"bash", "--norc", "--noprofile", ScriptLink::kName};
  std::string script_elsewhere = ScriptLink::kTarget;
  std::vector<std::string> variables = start.environment;
  std::erase_if(variables, spoils_the_start);
  auto argv = pointers_to(arguments);
  const auto envp = pointers_to(variables);
  const ChildSetup setup{.directory = start.directory.c_str(),
                         .script_place = start.script_place.c_str(),
                         .script_elsewhere = script_elsewhere.data(),
                         .argv = argv.data(),
                         .envp = envp.data(),
                         .control = control->read.get(),
                         .status = status->write.get(),
                         .own_output = own_output->write.get(),
                         .outputs = start.outputs,
                         .command = start.command,
                         .exports = exports->write.get(),
                         .report = report->write.get(),
                         .parent = ::getpid(),
                         .tag = start.tag,
                         .timer_slack = usual_timer_slack()};
  const pid_t pid = fork_into(start.control_group);
  if (pid < 0) return failed("start", kBash, errno);
  if (pid == 0) become_bash(setup);
  report->write.reset();
  if (!is_told(report->read.get())) {
    // It dies when the file system lets it go; whoever reaps orphans takes it then.
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, WNOHANG);
    return std::unexpected(StartFailure{
        .text = system_error_text("start the shell in", start.directory, ETIMEDOUT), .of_directory = true});
  }
  Failure failure;
  ssize_t told = 0;
  do told = ::read(report->read.get(), &failure, sizeof failure);
  while (told < 0 && errno == EINTR);
  if (told != 0) {
    ::waitpid(pid, nullptr, 0);
    if (told != sizeof failure) return failed("start", kBash, EIO);
    if (!failure.of_directory) return failed("start", kBash, failure.error);
    return std::unexpected(
        StartFailure{.text = system_error_text("start the shell in", start.directory, failure.error),
                     .of_directory = true});
  }
  return BashProcess{pid,
                     std::move(control->write),
                     std::move(control->read),
                     std::move(status->read),
                     std::move(exports->read),
                     std::move(own_output->read)};
}

std::uint64_t tag_family() {
  static const std::uint64_t family = [] {
    std::uint64_t random = 0;
    // Never short nor interrupted for so few bytes.
    if (::getrandom(&random, sizeof random, 0) != sizeof random) {
      random = static_cast<std::uint64_t>(::getpid()) << kTagCountBits;
    }
    return family_of_tag(kTagBase + random % kTagBase);
  }();
  return family;
}

std::uint64_t family_of_tag(std::uint64_t tag) {
  return is_process_tag(tag) ? tag >> kTagCountBits << kTagCountBits : 0;
}

std::uint64_t new_process_tag() {
  static std::uint64_t count = 0;
  return tag_family() + (++count & ((1ULL << kTagCountBits) - 1));
}

std::uint64_t process_tag(pid_t pid) {
  rlimit limit{};
  if (::prlimit(pid, RLIMIT_RTTIME, nullptr, &limit) != 0) return 0;
  return limit.rlim_cur;
}

bool is_process_tag(std::uint64_t value) {
  return value / kTagBase == 1;
}

}  // namespace sandbox_worker::tools
