#include "tools/oom_watch.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <fstream>
#include <iterator>

namespace sandbox_worker::tools {
namespace {

/// Has "name number" lines; /proc/vmstat, the longest, has about 4 KB.
std::string read_all(int fd) {
  std::string text;
  std::array<char, 16 * 1024> buffer;
  for (;;) {
    const ssize_t count = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(text.size()));
    if (count <= 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(count));
    if (count < 2048) return text;  // the kernel fills a page if it can
  }
}

bool names_memory(std::string_view controllers) {
  while (!controllers.empty()) {
    const auto end = controllers.find(',');
    if (controllers.substr(0, end) == "memory") return true;
    controllers.remove_prefix(end == std::string_view::npos ? controllers.size() : end + 1);
  }
  return false;
}

}  // namespace

std::vector<std::string> oom_counter_files(std::string_view cgroups, const std::string& root) {
  std::vector<std::string> files;
  // Lines are "id:controllers:path"; no controllers means version 2. In a container the path is often one of
  // the host's, and the group itself is what is mounted.
  while (!cgroups.empty()) {
    const auto end = cgroups.find('\n');
    const std::string_view line = cgroups.substr(0, end);
    cgroups.remove_prefix(end == std::string_view::npos ? cgroups.size() : end + 1);
    const auto first = line.find(':');
    const auto second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const bool version2 = controllers.empty();
    if (!version2 && !names_memory(controllers)) continue;
    const std::string mount = root + (version2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory");
    const std::string_view name = version2 ? "/memory.events" : "/memory.oom_control";
    std::string path(line.substr(second + 1));
    if (path == "/") path.clear();
    if (!path.empty()) files.push_back(mount + path + std::string(name));
    files.push_back(mount + std::string(name));
  }
  files.push_back(root + "/proc/vmstat");
  return files;
}

std::optional<std::uint64_t> oom_kills_in(std::string_view text) {
  constexpr std::string_view kName = "oom_kill ";
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (!line.starts_with(kName)) continue;
    std::uint64_t value = 0;
    const auto [stop, error] = std::from_chars(line.data() + kName.size(), line.data() + line.size(), value);
    if (error == std::errc() && stop == line.data() + line.size()) return value;
  }
  return std::nullopt;
}

const OomCounter& OomCounter::ours() {
  static const OomCounter counter;
  return counter;
}

OomCounter::OomCounter(const std::string& root) {
  std::ifstream groups(root + "/proc/self/cgroup");
  const std::string text{std::istreambuf_iterator<char>(groups), {}};
  for (const auto& path : oom_counter_files(text, root)) {
    UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file || !oom_kills_in(read_all(file.get()))) continue;
    file_ = std::move(file);
    return;
  }
}

std::uint64_t OomCounter::read() const {
  return file_ ? oom_kills_in(read_all(file_.get())).value_or(0) : 0;
}

}  // namespace sandbox_worker::tools
