#include "tests/soak/worker_usage.hpp"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace session_server {
namespace {

namespace fs = std::filesystem;

/// The number in a line such as "RssAnon:    5120 kB"; 0 without such a line.
std::size_t status_field(pid_t pid, const std::string& name) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  std::string word;
  while (status >> word) {
    std::size_t value = 0;
    if (word == name + ":" && status >> value) return value;
  }
  return 0;
}

std::multimap<pid_t, pid_t> children_by_parent() {
  std::multimap<pid_t, pid_t> children;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename();
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc() || end != name.data() + name.size()) continue;
    children.emplace(static_cast<pid_t>(status_field(pid, "PPid")), pid);
  }
  return children;
}

}  // namespace

Usage Usage::of(pid_t pid) {
  Usage usage;
  usage.anonymous_bytes = status_field(pid, "RssAnon") * 1024;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc/" + std::to_string(pid) + "/fd", ignored)) {
    std::error_code gone;
    const std::string target = fs::read_symlink(entry.path(), gone);
    if (gone) continue;
    ++(target.starts_with("socket:") ? usage.sockets : usage.other_descriptors);
  }
  const auto children = children_by_parent();
  std::vector<pid_t> parents = {pid};
  while (!parents.empty()) {
    const auto [first, last] = children.equal_range(parents.back());
    parents.pop_back();
    for (auto child = first; child != last; ++child) {
      ++usage.descendants;
      parents.push_back(child->second);
    }
  }
  return usage;
}

}  // namespace session_server
