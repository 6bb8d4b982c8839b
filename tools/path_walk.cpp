#include "tools/path_resolver.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <climits>
#include <utility>
#include <vector>

namespace sandbox_worker::tools {
namespace {

constexpr int kMaxLinks = 40;     // the kernel's own bound
constexpr int kMaxAttempts = 64;  // a tree that moves under us this often is not waited for
constexpr int kDirectory = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/// The text of a link; EINVAL when it is none.
OrErrno<std::string> read_link(int directory, const std::string& name) {
  std::array<char, PATH_MAX> text;
  const ssize_t length = ::readlinkat(directory, name.c_str(), text.data(), text.size());
  if (length < 0) return std::unexpected(errno);
  return std::string(text.data(), static_cast<std::size_t>(length));
}

bool is_link(int fd) {
  struct stat info{};
  return ::fstat(fd, &info) == 0 && S_ISLNK(info.st_mode);
}

/// One attempt to resolve one path.
class Walk {
 public:
  Walk(std::span<const Root> roots, std::optional<mode_t> make_parents)
      : roots_(roots), make_parents_(make_parents) {}

  OrErrno<OpenedFile> open(std::string_view path, int flags) {
    if (auto ok = begin(path); !ok) return std::unexpected(ok.error());
    while (true) {
      if (auto ok = descend(); !ok) return std::unexpected(ok.error());
      auto fd = open_last(flags);
      if (fd && *fd) return OpenedFile{.fd = std::move(*fd), .path = canonical_path()};
      if (!fd) return std::unexpected(fd.error());
    }
  }

  OrErrno<ResolvedPath> resolve(std::string_view path) {
    if (auto ok = begin(path); !ok) return std::unexpected(ok.error());
    while (true) {
      if (auto ok = descend(); !ok) return std::unexpected(ok.error());
      if (pending_.empty()) return resolved(".");
      auto target = read_link(directory(), pending_.back());
      if (!target && target.error() != EINVAL && target.error() != ENOENT)
        return std::unexpected(target.error());
      if (!target && must_be_directory_) return std::unexpected(EISDIR);
      if (!target) {
        auto name = std::move(pending_.back());
        pending_.pop_back();
        names_.push_back(name);
        return resolved(std::move(name));
      }
      pending_.pop_back();
      if (auto ok = follow(*target); !ok) return std::unexpected(ok.error());
    }
  }

 private:
  OrErrno<void> begin(std::string_view path) {
    if (path.empty()) return std::unexpected(ENOENT);
    if (path.front() == '/') return enter(path);
    push(path);
    return {};
  }

  /// Continues at an absolute path, from the root that it, together with what is still to go, enters.
  OrErrno<void> enter(std::string_view absolute) {
    std::string whole(absolute);
    for (; !pending_.empty(); pending_.pop_back()) whole += "/" + pending_.back();
    auto rooted = find_root(roots_, whole);
    if (!rooted) return std::unexpected(EXDEV);
    root_ = rooted->root;
    in_made_ = false;
    names_.clear();
    directory_.reset();
    push(rooted->rest);
    return {};
  }

  /// Puts the components of `path` before those that are still to go.
  void push(std::string_view path) {
    if (pending_.empty() && (path.ends_with('/') || path.ends_with("/."))) must_be_directory_ = true;
    while (!path.empty()) {
      const auto slash = path.rfind('/');
      const auto name = slash == std::string_view::npos ? path : path.substr(slash + 1);
      if (!name.empty() && name != ".") pending_.emplace_back(name);
      path = slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
    }
  }

  /// Goes down until one component is left, or none when the path ends in a directory that is already open.
  OrErrno<void> descend() {
    while (!pending_.empty()) {
      if (pending_.back() == "..") {
        pending_.pop_back();
        if (auto ok = go_up(); !ok) return ok;
        continue;
      }
      if (pending_.size() == 1) return {};
      const auto name = std::move(pending_.back());
      pending_.pop_back();
      if (auto ok = step_into(name); !ok) return ok;
    }
    return {};
  }

  OrErrno<void> step_into(const std::string& name) {
    int fd = ::openat(directory(), name.c_str(), kDirectory);
    int error = fd < 0 ? errno : 0;
    if (error == ENOENT && make_parents_) {
      const bool made = ::mkdirat(directory(), name.c_str(), *make_parents_) == 0;
      if (!made && errno != EEXIST) return std::unexpected(errno);
      fd = ::openat(directory(), name.c_str(), kDirectory);
      error = fd < 0 ? errno : 0;
      if (made) made_.add(directory(), name, !in_made_);
      in_made_ = made;
    } else {
      in_made_ = false;
    }
    if (fd >= 0) {
      directory_.reset(fd);
      names_.push_back(name);
      return {};
    }
    if (error != ELOOP && error != ENOTDIR) return std::unexpected(error);
    auto target = read_link(directory(), name);
    if (!target) return std::unexpected(target.error() == EINVAL ? error : target.error());
    return follow(*target);
  }

  /// The last component opened; an empty descriptor when it was a link, which is followed then.
  OrErrno<UniqueFd> open_last(int flags) {
    const int with = flags | O_NOFOLLOW | O_CLOEXEC | (must_be_directory_ ? O_DIRECTORY : 0);
    const std::string name = pending_.empty() ? "." : pending_.back();
    UniqueFd fd(::openat(directory(), name.c_str(), with));
    const int error = fd ? 0 : errno;
    const bool link_itself = fd && (flags & O_PATH) != 0 && is_link(fd.get());
    if (fd && !link_itself) {
      if (!pending_.empty()) names_.push_back(name);
      return fd;
    }
    if (!link_itself && error != ELOOP && error != ENOTDIR) return std::unexpected(error);
    auto target = read_link(directory(), name);
    if (!target) return std::unexpected(target.error() == EINVAL ? error : target.error());
    pending_.pop_back();
    if (auto ok = follow(*target); !ok) return std::unexpected(ok.error());
    return UniqueFd();
  }

  OrErrno<void> follow(const std::string& target) {
    if (--links_left_ < 0) return std::unexpected(ELOOP);
    if (target.empty()) return std::unexpected(ENOENT);
    if (target.front() == '/') return enter(target);
    push(target);
    return {};
  }

  /// The parent is reached again from the root rather than by "..": a directory that was moved outside
  /// meanwhile has its ".." outside.
  OrErrno<void> go_up() {
    if (names_.empty()) {
      const auto& root = roots_[root_].path;
      if (root == "/") return {};
      return enter(root.substr(0, root.rfind('/') + 1));
    }
    in_made_ = false;
    names_.pop_back();
    directory_.reset();
    for (const auto& name : names_) {
      const int fd = ::openat(directory(), name.c_str(), kDirectory);
      if (fd < 0)
        return std::unexpected(errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? EAGAIN : errno);
      directory_.reset(fd);
    }
    return {};
  }

  OrErrno<ResolvedPath> resolved(std::string name) {
    UniqueFd parent =
        directory_ ? std::move(directory_) : UniqueFd(::openat(roots_[root_].descriptor(), ".", kDirectory));
    if (!parent) return std::unexpected(errno);
    return ResolvedPath{.parent = std::move(parent),
                        .name = std::move(name),
                        .path = canonical_path(),
                        .made = std::move(made_)};
  }

  int directory() const { return directory_ ? directory_.get() : roots_[root_].descriptor(); }

  std::string canonical_path() const {
    std::string path = roots_[root_].path;
    for (const auto& name : names_) {
      if (path != "/") path += '/';
      path += name;
    }
    return path;
  }

  const std::span<const Root> roots_;
  const std::optional<mode_t> make_parents_;
  std::size_t root_ = 0;
  std::vector<std::string> names_;  // below the root, none of them a link
  UniqueFd directory_;              // what names_ leads to; none stands for the root's own
  MadeDirectories made_;
  bool in_made_ = false;              // names_ leads to the one made last
  std::vector<std::string> pending_;  // still to go, the next one last
  bool must_be_directory_ = false;
  int links_left_ = kMaxLinks;
};

}  // namespace

OrErrno<OpenedFile> walk_open(std::span<const Root> roots, std::string_view path, int flags) {
  OrErrno<OpenedFile> result = std::unexpected(EAGAIN);
  for (int i = 0; i < kMaxAttempts && !result && result.error() == EAGAIN; ++i)
    result = Walk(roots, std::nullopt).open(path, flags);
  return result;
}

OrErrno<ResolvedPath> walk_resolve(std::span<const Root> roots, std::string_view path,
                                   std::optional<mode_t> make_parents) {
  OrErrno<ResolvedPath> result = std::unexpected(EAGAIN);
  for (int i = 0; i < kMaxAttempts && !result && result.error() == EAGAIN; ++i)
    result = Walk(roots, make_parents).resolve(path);
  return result;
}

}  // namespace sandbox_worker::tools
