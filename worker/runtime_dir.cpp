#include "worker/runtime_dir.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

namespace sandbox_worker::worker {
std::expected<void, std::string> make_private_dir(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return std::unexpected(std::strerror(errno));
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) return std::unexpected(std::strerror(errno));
  if (!S_ISDIR(info.st_mode)) return std::unexpected("not a directory");
  if (info.st_uid != ::geteuid()) return std::unexpected("another user's");
  if ((info.st_mode & 077) != 0) return std::unexpected("others have access; chmod 700 it");
  if (::access(path.c_str(), W_OK) != 0) return std::unexpected(std::strerror(errno));
  return {};
}

std::expected<std::string, std::string> open_runtime_dir(const std::string& given,
                                                         const Environment& environment) {
  std::vector<std::string> candidates;
  if (!given.empty()) {
    auto path = std::filesystem::absolute(given).lexically_normal();
    if (!path.has_filename()) path = path.parent_path();  // a slash at the end names the same directory
    candidates.push_back(path.string());
  } else {
    if (const auto xdg = value_of(environment, "XDG_RUNTIME_DIR"); xdg.starts_with('/')) {
      candidates.push_back(xdg + "/sandbox-worker");
    }
    candidates.emplace_back("/run/sandbox-worker");
    candidates.push_back(fmt::format("/tmp/sandbox-worker-{}", ::geteuid()));
  }
  std::string problems;
  for (const auto& path : candidates) {
    const auto made = make_private_dir(path);
    if (made) return path;
    problems += fmt::format("{}{}: {}", problems.empty() ? "" : "; ", path, made.error());
  }
  return std::unexpected(fmt::format(
      "SANDBOX_WORKER_RUNTIME_DIR (--runtime-dir): no private directory can be made ({})", problems));
}

}  // namespace sandbox_worker::worker
