#pragma once

#include <sys/stat.h>

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "tools/unique_fd.hpp"

namespace sandbox_worker::tools {

/// Where a path that an agent named really is.
struct ResolvedPath {
  UniqueFd parent;   // the directory that holds the last component, links followed; O_PATH
  std::string name;  // the last component, links followed; "." for a root itself
  std::string path;  // absolute, links resolved, for messages and results
};

/// The directories that file tools may touch. Paths are resolved by descriptor, so that nothing that changes
/// meanwhile leads outside: see docs/architecture.md. Thread-safe once made.
class Workspace {
 public:
  /// `workdir` is made when missing. Errors are sentences for the operator.
  static std::expected<Workspace, std::string> open(std::string workdir, std::vector<std::string> allowed_roots);

  /// Absolute, links resolved.
  const std::string& workdir() const noexcept { return roots_.front().path; }

  /// A further root, e.g. of spilled output. Call before tools run.
  std::expected<void, std::string> add_root(std::string directory);

  /// Opens an existing file or directory inside the roots with `flags` (O_CLOEXEC and O_NOCTTY are added;
  /// O_NONBLOCK too, so that a FIFO never blocks). `path` may be absolute or relative to the workdir. The error is a
  /// sentence for the model: what, which path as given, why, what to do.
  std::expected<UniqueFd, std::string> open_file(std::string_view path, int flags) const;

  /// The place of a file that may not exist yet, its parent's descriptor at hand; `make_parents` makes missing
  /// directories. A link as the last component is followed as long as it stays inside.
  std::expected<ResolvedPath, std::string> resolve(std::string_view path, bool make_parents) const;

 private:
  struct Root {
    std::string path;
    UniqueFd fd;
  };
  std::vector<Root> roots_;  // the workdir first
};

}  // namespace sandbox_worker::tools
