#include "tools/process_table.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <climits>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string_view>

#include "tools/unique_fd.hpp"

namespace sandbox_worker::tools {
namespace {

/// PF_FORKNOEXEC of the kernel's process flags.
constexpr unsigned kForkedOnly = 0x40;

/// All of a file of /proc; the position of the descriptor doesn't count and stays.
std::string read_proc_file(int fd) {
  std::string text;
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t count = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(text.size()));
    if (count <= 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(count));
    if (static_cast<std::size_t>(count) < buffer.size() / 2) return text;  // /proc fills a page if it can
  }
}

std::optional<std::string> read_proc_file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return std::nullopt;
  return read_proc_file(fd.get());
}

/// The entries of a directory whose names are numbers.
std::vector<pid_t> numbers_in(const std::string& directory) {
  std::vector<pid_t> numbers;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(directory.c_str()), ::closedir);
  if (!dir) return numbers;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string_view name = entry->d_name;
    pid_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error == std::errc() && end == name.data() + name.size()) numbers.push_back(number);
  }
  return numbers;
}

/// O_RDONLY, O_WRONLY or O_RDWR, or -1.
int access_of_descriptor(pid_t pid, int fd) {
  const auto text = read_proc_file(fmt::format("/proc/{}/fdinfo/{}", pid, fd));
  constexpr std::string_view kField = "flags:\t";
  const auto at = text ? text->find(kField) : std::string::npos;
  if (at == std::string::npos) return -1;
  int flags = 0;
  std::from_chars(text->data() + at + kField.size(), text->data() + text->size(), flags, 8);
  return flags & O_ACCMODE;
}

/// Of a process that runs, in the count of links of /proc/PID/task: itself, its parent and one directory.
constexpr nlink_t kOneThread = 3;

std::string task_directory(pid_t pid) {
  return fmt::format("/proc/{}/task", pid);
}

std::string children_file(pid_t pid, pid_t thread) {
  return fmt::format("/proc/{}/task/{}/children", pid, thread);
}

/// Of such a file.
void add_numbers(std::vector<pid_t>& numbers, std::string_view text) {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    pid_t number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc()) break;
    numbers.push_back(number);
    at = next + 1;
  }
}

/// False when the kernel is built without the file that tells: all children have been found otherwise then.
bool add_children(std::vector<pid_t>& children, pid_t pid, pid_t thread) {
  if (const auto text = read_proc_file(children_file(pid, thread))) {
    add_numbers(children, *text);
    return true;
  }
  if (::access(fmt::format("/proc/{}/task/{}", pid, thread).c_str(), F_OK) != 0) return true;  // just ended
  children.clear();
  for (const auto& process : list_processes())
    if (process.parent == pid) children.push_back(process.pid);
  return false;
}

}  // namespace

std::string link_of_descriptor(pid_t pid, int fd) {
  std::array<char, 64> target;
  const ssize_t length =
      ::readlink(fmt::format("/proc/{}/fd/{}", pid, fd).c_str(), target.data(), target.size());
  return length > 0 ? std::string(target.data(), static_cast<std::size_t>(length)) : std::string();
}

std::optional<ProcessInfo> process_info(pid_t pid) {
  const auto text = read_proc_file(fmt::format("/proc/{}/stat", pid));
  if (!text) return std::nullopt;
  const auto name_end = text->rfind(')');  // the name itself may hold anything, parentheses too
  if (name_end == std::string::npos) return std::nullopt;
  ProcessInfo info{.pid = pid};
  unsigned flags = 0;
  if (std::sscanf(text->c_str() + name_end + 1,
                  " %c %d %d %d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &info.state,
                  &info.parent, &info.group, &info.session, &flags, &info.begun) != 6)
    return std::nullopt;
  info.own_program = (flags & kForkedOnly) == 0;
  return info;
}

bool still_runs(const ProcessInfo& process) {
  const auto now = process_info(process.pid);
  return now && !now->ended() && now->begun == process.begun;
}

std::vector<ProcessInfo> list_processes() {
  std::vector<ProcessInfo> processes;
  for (const pid_t pid : numbers_in("/proc"))
    if (auto info = process_info(pid)) processes.push_back(*info);
  return processes;
}

std::vector<pid_t> children_of_main_thread(pid_t pid) {
  std::vector<pid_t> children;
  add_children(children, pid, pid);
  return children;
}

std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> children;
  const std::string tasks = task_directory(pid);
  struct stat info{};
  if (::stat(tasks.c_str(), &info) != 0) return children;
  for (const pid_t task : info.st_nlink == kOneThread ? std::vector{pid} : numbers_in(tasks))
    if (!add_children(children, pid, task)) break;
  return children;
}

ChildList::ChildList(pid_t pid)
    : pid_(pid),
      tasks_(::open(task_directory(pid).c_str(), O_PATH | O_CLOEXEC)),
      children_(::open(children_file(pid, pid).c_str(), O_RDONLY | O_CLOEXEC)) {}

std::vector<pid_t> ChildList::of_main_thread() const {
  if (!children_) return children_of_main_thread(pid_);
  std::vector<pid_t> children;
  add_numbers(children, read_proc_file(children_.get()));
  return children;
}

std::vector<pid_t> ChildList::of_all_threads() const {
  struct stat info{};
  if (!tasks_ || ::fstat(tasks_.get(), &info) != 0 || info.st_nlink > kOneThread) return children_of(pid_);
  return of_main_thread();
}

bool ignores_keyboard_signals(pid_t pid) {
  const auto text = read_proc_file(fmt::format("/proc/{}/status", pid));
  if (!text) return false;
  constexpr std::string_view kField = "SigIgn:\t";
  const auto at = text->find(kField);
  if (at == std::string::npos) return false;
  std::uint64_t ignored = 0;
  std::from_chars(text->data() + at + kField.size(), text->data() + text->size(), ignored, 16);
  constexpr std::uint64_t kBoth = (1ULL << (SIGINT - 1)) | (1ULL << (SIGQUIT - 1));
  return (ignored & kBoth) == kBoth;
}

bool has_foreground_input(pid_t pid) {
  return link_of_descriptor(pid, 0) == "/dev/null" && access_of_descriptor(pid, 0) == O_RDWR;
}

bool has_descriptor(pid_t pid, int fd) {
  return !link_of_descriptor(pid, fd).empty();
}

bool waits_for_child(pid_t pid) {
  const auto text = read_proc_file(fmt::format("/proc/{}/syscall", pid));
  if (!text || text->empty()) return true;
  long number = -1;  // stays so for "running"
  std::from_chars(text->data(), text->data() + text->size(), number);
  return number == SYS_wait4 || number == SYS_waitid;
}

bool prints_into(pid_t pid, pid_t reader) {
  const auto output = link_of_descriptor(pid, 1);
  if (!output.starts_with("pipe:")) return false;
  for (const int fd : numbers_in(fmt::format("/proc/{}/fd", reader)))
    if (link_of_descriptor(reader, fd) == output && access_of_descriptor(reader, fd) == O_RDONLY) return true;
  return false;
}

bool feeds(pid_t writer, pid_t reader) {
  const auto input = link_of_descriptor(reader, 0);
  return input.starts_with("pipe:") &&
         (link_of_descriptor(writer, 1) == input || link_of_descriptor(writer, 2) == input);
}

std::string command_line_of(pid_t pid) {
  std::string text = read_proc_file(fmt::format("/proc/{}/cmdline", pid)).value_or("");
  while (text.ends_with('\0')) text.pop_back();
  for (char& byte : text)
    if (static_cast<unsigned char>(byte) < ' ') byte = ' ';
  return text;
}

std::string working_directory_of(pid_t pid) {
  std::array<char, PATH_MAX> buffer;
  const ssize_t length = ::readlink(fmt::format("/proc/{}/cwd", pid).c_str(), buffer.data(), buffer.size());
  return length > 0 ? std::string(buffer.data(), static_cast<std::size_t>(length)) : std::string();
}

}  // namespace sandbox_worker::tools
