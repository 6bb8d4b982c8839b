#include "tools/script_link.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string_view>

#include "tools/bash_process.hpp"

namespace sandbox_worker::tools {
namespace {

static_assert(kScriptFd == 88);

bool leads_to_script(const char* link) {
  constexpr std::string_view kTarget = ScriptLink::kTarget;
  std::array<char, kTarget.size() + 1> text;
  const ssize_t length = ::readlink(link, text.data(), text.size());
  return length >= 0 && std::string_view(text.data(), static_cast<std::size_t>(length)) == kTarget;
}

/// Not where links are not followed on the whole file system, for example.
bool can_be_opened(const char* script) {
  const int fd = ::open(script, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd >= 0) ::close(fd);
  return fd >= 0;
}

std::string link_in(const std::string& directory) {
  return directory + "/" + ScriptLink::kName;
}

}  // namespace

std::optional<ScriptLink> ScriptLink::make(const std::string& parent) {
  if (parent.empty()) return std::nullopt;
  std::string directory = parent + "/shell-XXXXXX";
  if (::mkdtemp(directory.data()) == nullptr) return std::nullopt;
  ScriptLink made(std::move(directory));
  if (::symlink(kTarget, link_in(made.directory_).c_str()) != 0) return std::nullopt;
  return made;
}

ScriptLink::~ScriptLink() {
  if (directory_.empty()) return;
  ::unlink(link_in(directory_).c_str());
  ::rmdir(directory_.c_str());
}

bool ScriptLink::enter(const char* directory) noexcept {
  struct stat place{};
  if (::chdir(directory) != 0 || ::stat(".", &place) != 0) return false;
  const bool is_ours = place.st_uid == ::geteuid() && (place.st_mode & 077) == 0;
  return is_ours && leads_to_script(kName) && can_be_opened(kName);
}

}  // namespace sandbox_worker::tools
