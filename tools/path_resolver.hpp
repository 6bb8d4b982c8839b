#pragma once

#include <sys/types.h>

#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "tools/made_directories.hpp"
#include "tools/unique_fd.hpp"

namespace sandbox_worker::tools {

/// A file or directory that was opened, and where it is.
struct OpenedFile {
  UniqueFd fd;
  std::string path;  // absolute, links resolved
};

/// Where a path that an agent named really is, whether or not something is there yet.
struct ResolvedPath {
  UniqueFd parent;         // the directory that holds the last component, links followed; O_PATH
  std::string name;        // the last component, never a link when it was looked at; "." for a root itself
  std::string path;        // absolute, links resolved, for messages and results
  MadeDirectories made{};  // on the way
};

/// A directory that file tools may touch, with all below it.
struct Root {
  std::string path;   // absolute, links resolved
  std::string given;  // absolute, as the operator named it: agents use this name too
  bool writable = true;
  std::shared_ptr<const UniqueFd> fd;  // O_PATH; null: it can't be used now
  int error = 0;                       // why not

  /// Whatever is done beneath a root that can't be used fails with EBADF, and nothing else does.
  int descriptor() const { return fd ? fd->get() : -1; }
};

/// Errors below are errno values; EXDEV stands for "outside every root".
template <class T>
using OrErrno = std::expected<T, int>;

/// `relative` under `root_fd`, resolved by the kernel in one step. It refuses (EXDEV) every absolute link and
/// every step above the root, also those that would come back inside; EAGAIN when a rename was in the way.
OrErrno<UniqueFd> open_beneath(int root_fd, const std::string& relative, int flags);

/// Resolves one component at a time, each opened without following links; links are read and followed by us.
/// Needs no new system call, and knows absolute links that lead into a root. `path` is absolute or relative
/// to the first root. Follows 40 links at most, as the kernel does.
OrErrno<OpenedFile> walk_open(std::span<const Root> roots, std::string_view path, int flags);

/// As walk_open(), but stops at the directory of the last component. Missing directories on the way are made
/// with mode `make_parents` (less the umask) when it is given.
OrErrno<ResolvedPath> walk_resolve(std::span<const Root> roots, std::string_view path,
                                   std::optional<mode_t> make_parents);

/// The two in the order that is fastest: the kernel where it can answer, the walk where it can't.
OrErrno<OpenedFile> open_in_roots(std::span<const Root> roots, std::string_view path, int flags);
OrErrno<ResolvedPath> resolve_in_roots(std::span<const Root> roots, std::string_view path,
                                       std::optional<mode_t> make_parents);

/// Whether `path` is `directory` or lies below it; both absolute and free of links.
bool is_within(std::string_view path, std::string_view directory);

/// The root that an absolute path enters, and what is left of the path from there. Parts before the root are
/// taken as text: nothing outside is ever looked at.
struct RootedPath {
  std::size_t root = 0;
  std::string rest;
};
std::optional<RootedPath> find_root(std::span<const Root> roots, std::string_view path);

}  // namespace sandbox_worker::tools
