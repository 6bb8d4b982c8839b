#include "tools/oom_watch.hpp"

#include <fstream>
#include <optional>
#include <string>

namespace sandbox_worker::tools {
namespace {

/// The number after `name` in a file of "name number" lines.
std::optional<std::uint64_t> counter(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  std::string word;
  std::uint64_t value = 0;
  while (file >> word >> value)
    if (word == name) return value;
  return std::nullopt;
}

std::string find_counter_file() {
  // Lines are "id:controllers:path"; no controllers means version 2. In a container the path is often one
  // of the host's, and the group itself is what is mounted.
  std::ifstream groups("/proc/self/cgroup");
  std::string line;
  while (std::getline(groups, line)) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    const bool version2 = controllers.empty();
    if (!version2 && controllers.find("memory") == std::string::npos) continue;
    const std::string mount = version2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    const std::string name = version2 ? "/memory.events" : "/memory.oom_control";
    for (const auto& file : {mount + path + name, mount + name})
      if (counter(file, "oom_kill")) return file;
  }
  return "/proc/vmstat";
}

std::uint64_t kills() {
  static const std::string file = find_counter_file();
  return counter(file, "oom_kill").value_or(0);
}

}  // namespace

OomWatch::OomWatch() : before_(kills()) {}

bool OomWatch::killed_since() const {
  return kills() > before_;
}

}  // namespace sandbox_worker::tools
