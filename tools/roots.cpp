#include "tools/roots.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

namespace sandbox_worker::tools {
namespace {

/// Opens the directory `path`, absolute, without following any link; makes what is missing if `make` is
/// given.
OrErrno<UniqueFd> open_absolute(std::string_view path, std::optional<mode_t> make = std::nullopt) {
  constexpr int kStep = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  UniqueFd at(::open("/", kStep));
  while (at && !path.empty()) {
    const auto slash = std::min(path.find('/'), path.size());
    const std::string name(path.substr(0, slash));
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (name.empty()) continue;
    if (make && ::mkdirat(at.get(), name.c_str(), *make) != 0 && errno != EEXIST)
      return std::unexpected(errno);
    at = UniqueFd(::openat(at.get(), name.c_str(), kStep));
  }
  if (!at) return std::unexpected(errno);
  return at;
}

/// Whether the root's path still leads to what its descriptor is; also where that can't be told.
bool is_current(const Root& root) {
  if (!root.fd) return false;
  struct stat by_path{};
  struct stat held{};
  if (::stat(root.path.c_str(), &by_path) != 0) return errno != ENOENT && errno != ENOTDIR && errno != ELOOP;
  return ::fstat(root.fd->get(), &held) != 0 ||
         (held.st_dev == by_path.st_dev && held.st_ino == by_path.st_ino);
}

}  // namespace

void Roots::add(Root root) {
  auto all = *roots_;
  all.push_back(std::move(root));
  roots_ = std::make_shared<const std::vector<Root>>(std::move(all));
}

Roots::Snapshot Roots::now() const {
  const std::scoped_lock lock(mutex_);
  if (std::ranges::all_of(*roots_, is_current)) return roots_;
  auto all = *roots_;
  for (auto& root : all) {
    if (is_current(root)) continue;
    auto fd = open_absolute(root.path);
    root.error = fd ? 0 : fd.error();
    root.fd = fd ? std::make_shared<const UniqueFd>(std::move(*fd)) : nullptr;
  }
  roots_ = std::make_shared<const std::vector<Root>>(std::move(all));
  return roots_;
}

void Roots::make_first(mode_t mode) const {
  std::ignore = open_absolute(now()->front().path, mode);  // whatever is wrong shows when it is used
}

}  // namespace sandbox_worker::tools
