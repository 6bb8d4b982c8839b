#pragma once

#include <sys/types.h>

#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/path_resolver.hpp"
#include "tools/roots.hpp"
#include "tools/system_error.hpp"

namespace sandbox_worker::tools {

enum class Access { read_write, read_only };

/// The directories that file tools may touch. Paths are resolved by descriptor, so that nothing that changes
/// meanwhile leads outside: see docs/architecture.md. A root that is removed and made again is opened anew.
/// Thread-safe once made.
class Workspace {
 public:
  /// `workdir` is made when missing; the other roots must exist. Errors are sentences for the operator.
  static std::expected<Workspace, std::string> open(const std::string& workdir,
                                                    const std::vector<std::string>& allowed_roots);

  /// Absolute, links resolved.
  const std::string& workdir() const noexcept { return workdir_; }

  /// A further root, e.g. of spilled output. Call before tools run.
  std::expected<void, std::string> add_root(const std::string& directory, Access access = Access::read_write);

  /// Opens an existing file or directory inside the roots with `flags` (O_CLOEXEC is added; without O_PATH
  /// also O_NOCTTY and O_NONBLOCK, so that a FIFO never blocks). `path` may be absolute or relative to the
  /// workdir.
  std::expected<OpenedFile, PathError> open_file(std::string_view path, int flags) const;

  /// The place of a file to write, which may not exist yet, its parent's descriptor at hand. Missing
  /// directories, and the workdir if it was removed, are made with mode `make_parents`, less the umask, when
  /// it is given, and removed again with the result unless it keeps them. A link as the last component is
  /// followed as long as it stays inside. A place inside a read-only root is an error (EROFS).
  std::expected<ResolvedPath, PathError> resolve(std::string_view path,
                                                 std::optional<mode_t> make_parents = std::nullopt) const;

 private:
  Workspace() = default;

  std::string workdir_;
  std::unique_ptr<Roots> roots_ = std::make_unique<Roots>();  // the workdir first; a pointer, to be movable
};

}  // namespace sandbox_worker::tools
