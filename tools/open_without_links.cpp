#include "tools/open_without_links.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <string_view>

namespace sandbox_worker::tools {
namespace {

// Kernels before 5.6, some sandboxes (gVisor) and seccomp filters lack openat2.
std::atomic<bool> have_openat2 = true;

UniqueFd open_at_once(int root, const char* path, int flags) {
  open_how how{};
  how.flags = static_cast<unsigned>(flags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  return UniqueFd(static_cast<int>(::syscall(SYS_openat2, root, path, &how, sizeof how)));
}

UniqueFd open_in_steps(int root, std::string_view path, int flags) {
  constexpr int kStep = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  UniqueFd at;
  while (true) {
    const auto slash = path.find('/');
    const std::string name(path.substr(0, slash));
    const bool last = slash == std::string_view::npos || slash + 1 == path.size();
    if (name == "..") return errno = EXDEV, UniqueFd();
    UniqueFd next(::openat(at ? at.get() : root, name.c_str(), last ? flags | O_NOFOLLOW : kStep));
    if (!next || last) return next;
    at = std::move(next);
    path.remove_prefix(slash + 1);
  }
}

}  // namespace

UniqueFd open_without_links(int root, const std::string& path, int flags) {
  // With O_PATH nothing is opened that could block, and openat2 takes no flag that has no meaning.
  flags |= (flags & O_PATH) != 0 ? O_CLOEXEC : O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  if (path.empty()) return UniqueFd(::openat(root, ".", flags));
  if (path.size() < PATH_MAX && have_openat2.load(std::memory_order_relaxed)) {
    UniqueFd fd = open_at_once(root, path.c_str(), flags);
    if (fd || (errno != ENOSYS && errno != EPERM)) return fd;
    if (errno == ENOSYS) have_openat2.store(false, std::memory_order_relaxed);
  }
  return open_in_steps(root, path, flags);
}

}  // namespace sandbox_worker::tools
