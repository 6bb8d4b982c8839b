#include "tools/control_group.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>
#include <vector>

namespace sandbox_worker::tools {
namespace {

constexpr std::string_view kPrefix = "sandbox-worker-";

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const auto end = text.find(at);
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return parts;
}

struct Mount {
  std::string_view root;  // the group that is mounted
  std::string_view point;
};

/// Lines are "id parent device root point options [more]* - type source options".
std::optional<Mount> find_mount(std::string_view mountinfo) {
  for (const auto line : split(mountinfo, '\n')) {
    const auto end = line.find(" - cgroup2 ");
    if (end == std::string_view::npos) continue;
    const auto fields = split(line.substr(0, end), ' ');
    if (fields.size() >= 6 && fields[4].find('\\') == std::string_view::npos)
      return Mount{fields[3], fields[4]};
  }
  return std::nullopt;
}

/// Removes the empty groups of workers that ended without doing so.
void remove_abandoned(const std::string& parent) {
  std::error_code failed;
  for (std::filesystem::directory_iterator at(parent, failed), end; !failed && at != end;
       at.increment(failed)) {
    const std::string name = at->path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    pid_t owner = 0;
    std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), owner);
    if (owner > 0 && ::kill(owner, 0) != 0 && errno == ESRCH) ::rmdir(at->path().c_str());
  }
}

std::string text_of(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

std::optional<std::string> own_control_group(std::string_view mountinfo, std::string_view cgroup) {
  const auto mount = find_mount(mountinfo);
  if (!mount) return std::nullopt;
  for (const auto line : split(cgroup, '\n')) {
    if (!line.starts_with("0::/")) continue;
    std::string_view path = line.substr(3);
    if (path.find("/..") != std::string_view::npos) return std::nullopt;  // outside of what we can see
    if (mount->root != "/") {
      if (!path.starts_with(mount->root)) return std::nullopt;
      path.remove_prefix(mount->root.size());
      if (!path.empty() && path.front() != '/') return std::nullopt;
    }
    while (path.ends_with('/')) path.remove_suffix(1);
    return std::string(mount->point) + std::string(path);
  }
  return std::nullopt;
}

std::unique_ptr<ControlGroup> ControlGroup::make() {
  static unsigned count = 0;
  const auto own = own_control_group(text_of("/proc/self/mountinfo"), text_of("/proc/self/cgroup"));
  if (!own) return nullptr;
  remove_abandoned(*own);
  std::string path = fmt::format("{}/{}{}-{}", *own, kPrefix, ::getpid(), ++count);
  if (::mkdir(path.c_str(), 0700) != 0) return nullptr;
  UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return ::rmdir(path.c_str()), nullptr;
  return std::unique_ptr<ControlGroup>(new ControlGroup(std::move(path), std::move(directory)));
}

ControlGroup::ControlGroup(std::string path, UniqueFd directory)
    : path_(std::move(path)), directory_(std::move(directory)) {}

ControlGroup::~ControlGroup() {
  remove();
}

void ControlGroup::remove() {
  if (!directory_) return;
  kill();
  for (int attempt = 0; ::rmdir(path_.c_str()) != 0 && errno == EBUSY && attempt < 100; ++attempt)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  directory_.reset();
}

void ControlGroup::kill() const {
  const UniqueFd file(::openat(directory_.get(), "cgroup.kill", O_WRONLY | O_CLOEXEC));
  [[maybe_unused]] const ssize_t told = ::write(file.get(), "1", 1);
}

}  // namespace sandbox_worker::tools
