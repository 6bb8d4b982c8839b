#include "tools/script_link.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

#include "tools/bash_process.hpp"

namespace sandbox_worker::tools {
namespace {

static_assert(kScriptFd == 87);

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

constexpr std::string_view kPrefix = "shell-";

std::string link_in(const std::string& directory) {
  return directory + "/" + ScriptLink::kName;
}

}  // namespace

std::optional<ScriptLink> ScriptLink::make(const std::string& parent) {
  if (parent.empty()) return std::nullopt;
  std::string directory = fmt::format("{}/{}XXXXXX", parent, kPrefix);
  if (::mkdtemp(directory.data()) == nullptr) return std::nullopt;
  ScriptLink made(std::move(directory));
  if (::symlink(kTarget, link_in(made.directory_).c_str()) != 0) return std::nullopt;
  return made;
}

void ScriptLink::remove_left(const std::string& parent) {
  std::error_code failed;
  std::vector<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(parent, failed))
    if (entry.path().filename().string().starts_with(kPrefix)) left.push_back(entry.path());
  for (auto& directory : left) ScriptLink(std::move(directory));
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
