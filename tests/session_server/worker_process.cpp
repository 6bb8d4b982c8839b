#include "tests/session_server/worker_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <cstring>
#include <string_view>
#include <system_error>

namespace session_server {
namespace {

std::vector<std::string> environment_block(const std::map<std::string, std::string>& given) {
  std::vector<std::string> block;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const std::string name(text.substr(0, text.find('=')));
    if (name.starts_with("ANTHROPIC_") || name.starts_with("SANDBOX_WORKER_") || given.contains(name))
      continue;
    block.emplace_back(text);
  }
  for (auto& [name, value] : given) block.push_back(name + "=" + value);
  return block;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> list;
  for (auto& text : strings) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

}  // namespace

WorkerProcess::WorkerProcess(Options options) {
  auto environment = environment_block(options.environment);
  posix_spawn_file_actions_t actions{};
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, options.workdir.c_str());
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  if (!options.log.empty()) {
    posix_spawn_file_actions_addopen(&actions, 1, options.log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
  }
  posix_spawnattr_t attributes{};
  posix_spawnattr_init(&attributes);
  sigset_t signals;
  sigemptyset(&signals);
  posix_spawnattr_setsigmask(&attributes, &signals);
  sigfillset(&signals);
  posix_spawnattr_setsigdefault(&attributes, &signals);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  // What the caller has open is not the worker's, e.g. the pipes of a test runner.
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  // A relative path would be looked for in the new working directory.
  std::string& program = options.command.front();
  if (program.find('/') != std::string::npos) program = std::filesystem::absolute(program);
  const auto argv = pointers(options.command);
  const auto envp = pointers(environment);
  const int error = posix_spawnp(&pid_, program.c_str(), &actions, &attributes, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) throw std::system_error(error, std::generic_category(), "can't start " + program);
  waiter_ = std::thread([this, on_exit = std::move(options.on_exit)] { wait_for_exit(on_exit); });
}

WorkerProcess::~WorkerProcess() {
  signal(SIGKILL);
  waiter_.join();
}

void WorkerProcess::wait_for_exit(const std::function<void()>& on_exit) {
  siginfo_t info{};
  while (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  {
    const std::lock_guard lock(mutex_);
    int status = 0;
    waitpid(pid_, &status, 0);
    code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    exited_ = true;
  }
  if (on_exit) on_exit();
}

void WorkerProcess::signal(int number) {
  const std::lock_guard lock(mutex_);
  if (!exited_) kill(pid_, number);
}

std::optional<int> WorkerProcess::exit_code() const {
  if (!exited_) return std::nullopt;
  return code_.load();
}

std::vector<pid_t> processes_below(const std::filesystem::path& folder) {
  std::vector<pid_t> found;
  std::error_code ignored;
  for (auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename();
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc{} || end != name.data() + name.size() || pid == getpid()) continue;
    std::error_code gone;
    const std::string cwd = std::filesystem::read_symlink(entry.path() / "cwd", gone);
    if (!gone && (cwd + "/").starts_with(folder.string() + "/")) found.push_back(pid);
  }
  return found;
}

}  // namespace session_server
