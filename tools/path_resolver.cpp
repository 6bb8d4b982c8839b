#include "tools/path_resolver.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

namespace sandbox_worker::tools {
namespace {

constexpr int kMaxRetries =
    8;  // renames anywhere on the machine can cause EAGAIN; the walk is there for the rest

/// Where the kernel says that a descriptor is; empty without /proc, or for what has no name any more.
std::string path_of(int fd) {
  std::array<char, PATH_MAX> text;
  const auto link = fmt::format("/proc/self/fd/{}", fd);
  const ssize_t length = ::readlink(link.c_str(), text.data(), text.size());
  if (length <= 0 || static_cast<std::size_t>(length) == text.size()) return {};
  std::string path(text.data(), static_cast<std::size_t>(length));
  return path.ends_with(" (deleted)") ? std::string() : path;
}

/// Errors after which the walk may still succeed: links that come back inside, no such call, paths too long
/// for one call. Any other error is the answer.
bool walk_may_succeed(int error) {
  switch (error) {
    case EXDEV:
    case EAGAIN:
    case ENOSYS:
    case EPERM:
    case EINVAL:
    case E2BIG:
    case ELOOP:
    case ENAMETOOLONG:
      return true;
    default:
      return false;
  }
}

}  // namespace

OrErrno<UniqueFd> open_beneath(int root_fd, const std::string& relative, int flags) {
  struct open_how how{};
  how.flags = static_cast<unsigned>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  const long fd = ::syscall(SYS_openat2, root_fd, relative.c_str(), &how, sizeof how);
  if (fd < 0) return std::unexpected(errno);
  return UniqueFd(static_cast<int>(fd));
}

bool is_within(std::string_view path, std::string_view directory) {
  if (directory == "/") return path.starts_with('/');
  return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
}

std::optional<RootedPath> find_root(std::span<const Root> roots, std::string_view path) {
  std::string entered = "/";
  std::size_t at = 0;
  while (true) {
    for (std::size_t i = 0; i < roots.size(); ++i)
      if (entered == roots[i].path || entered == roots[i].given)
        return RootedPath{.root = i, .rest = std::string(path.substr(std::min(at, path.size())))};
    if (at >= path.size()) return std::nullopt;
    const auto slash = std::min(path.find('/', at), path.size());
    const auto name = path.substr(at, slash - at);
    at = slash + 1;
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      entered.resize(std::max<std::size_t>(entered.rfind('/'), 1));
      continue;
    }
    if (entered != "/") entered += '/';
    entered += name;
  }
}

OrErrno<OpenedFile> open_in_roots(std::span<const Root> roots, std::string_view path, int flags) {
  if (path.empty()) return std::unexpected(ENOENT);
  RootedPath start{.root = 0, .rest = std::string(path)};
  if (path.front() == '/') {
    auto found = find_root(roots, path);
    if (!found) return std::unexpected(EXDEV);
    start = std::move(*found);
    start.rest.erase(0, start.rest.find_first_not_of('/'));
  }
  if (start.rest.empty()) start.rest = ".";
  const auto& root = roots[start.root];
  auto fd = open_beneath(root.descriptor(), start.rest, flags);
  for (int i = 0; i < kMaxRetries && !fd && fd.error() == EAGAIN; ++i)
    fd = open_beneath(root.descriptor(), start.rest, flags);
  if (fd) {
    auto canonical = path_of(fd->get());
    if (is_within(canonical, root.path))
      return OpenedFile{.fd = std::move(*fd), .path = std::move(canonical)};
  } else if (!walk_may_succeed(fd.error())) {
    return std::unexpected(fd.error());
  }
  return walk_open(roots, path, flags);
}

OrErrno<ResolvedPath> resolve_in_roots(std::span<const Root> roots, std::string_view path,
                                       std::optional<mode_t> make_parents) {
  const auto slash = path.rfind('/');
  const std::string name(slash == std::string_view::npos ? path : path.substr(slash + 1));
  const auto directory = slash == std::string_view::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  if (name.empty() || name == "." || name == "..") return walk_resolve(roots, path, make_parents);
  auto parent = open_in_roots(roots, directory, O_PATH | O_DIRECTORY);
  if (!parent) return walk_resolve(roots, path, make_parents);
  char probe = 0;
  const bool link = ::readlinkat(parent->fd.get(), name.c_str(), &probe, sizeof probe) >= 0;
  if (link || (errno != EINVAL && errno != ENOENT)) return walk_resolve(roots, path, make_parents);
  auto canonical = parent->path == "/" ? "/" + name : parent->path + "/" + name;
  return ResolvedPath{.parent = std::move(parent->fd), .name = name, .path = std::move(canonical)};
}

}  // namespace sandbox_worker::tools
