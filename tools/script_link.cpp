#include "tools/script_link.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "tools/bash_process.hpp"
#include "tools/system_error.hpp"

namespace sandbox_worker::tools {
namespace {

constexpr const char* kNewName = "new";

constexpr std::string_view kTarget = "/proc/self/fd/88";
static_assert(kScriptFd == 88);

bool leads_to_script(const char* link) {
  std::array<char, kTarget.size() + 1> text;
  const ssize_t length = ::readlink(link, text.data(), text.size());
  return length >= 0 && std::string_view(text.data(), static_cast<std::size_t>(length)) == kTarget;
}

/// Missing ones above it too. What somebody else has made there meanwhile is found out by enter().
bool make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return true;
  const auto slash = path.rfind('/');
  if (errno != ENOENT || slash == std::string::npos || slash == 0) return false;
  return make_directory(path.substr(0, slash)) && (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST);
}

}  // namespace

std::expected<void, std::string> ScriptLink::make() const {
  const auto failed = [&](const std::string& path) {
    return std::unexpected(system_error_text("make", path, errno));
  };
  const auto link = fmt::format("{}/{}", directory_, kName);
  if (leads_to_script(link.c_str())) return {};
  if (!make_directory(directory_)) return failed(directory_);
  ::chmod(directory_.c_str(), 0700);  // where it isn't ours, enter() will refuse it
  // By renaming, as another shell may be opening what is there.
  const auto fresh = fmt::format("{}/{}", directory_, kNewName);
  ::unlink(fresh.c_str());
  if (::symlink(kTarget.data(), fresh.c_str()) != 0) return failed(fresh);
  if (::rename(fresh.c_str(), link.c_str()) != 0) return failed(link);
  return {};
}

bool ScriptLink::enter(const char* directory) noexcept {
  if (::chdir(directory) != 0) return false;
  struct stat place{};
  if (::stat(".", &place) != 0) return false;
  const bool is_ours = place.st_uid == ::geteuid() && (place.st_mode & 077) == 0 && leads_to_script(kName);
  if (!is_ours) errno = EPERM;
  return is_ours;
}

void ScriptLink::remove() const {
  for (const char* name : {kName, kNewName}) ::unlink(fmt::format("{}/{}", directory_, name).c_str());
  ::rmdir(directory_.c_str());
}

}  // namespace sandbox_worker::tools
