#pragma once

#include <array>
#include <mutex>

#include "tools/path_resolver.hpp"

namespace sandbox_worker::tools {

/// One lock for each file, shared by all lanes: an edit reads, changes and replaces a file, and another one
/// of the same file in between would be lost. A file is known by its directory and name, since its inode is a
/// new one after each write. Files may share a lock by chance, which costs waiting only; a thread may hold
/// one lock at a time.
class FileLocks {
 public:
  /// Waits on the calling thread; files are written on the pool.
  [[nodiscard]] std::unique_lock<std::mutex> lock(const ResolvedPath& place);

 private:
  std::array<std::mutex, 64> locks_;
};

}  // namespace sandbox_worker::tools
