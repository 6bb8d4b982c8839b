#pragma once

#include <sys/types.h>

#include <memory>
#include <mutex>
#include <vector>

#include "tools/path_resolver.hpp"

namespace sandbox_worker::tools {

/// The roots of the file tools. A directory that was removed, or moved away, and made again is another one
/// than the descriptor's: where a root's path leads is looked at with each use, and it is opened anew when
/// that is elsewhere. No link is followed then, since the path had none when the root was added. Thread-safe,
/// but for add().
class Roots {
 public:
  /// What one call uses; it stays as it is when another call opens a root anew.
  using Snapshot = std::shared_ptr<const std::vector<Root>>;

  void add(Root root);
  Snapshot now() const;
  /// Makes the first root, with mode `mode` less the umask, where it was removed.
  void make_first(mode_t mode) const;

 private:
  mutable std::mutex mutex_;
  mutable Snapshot roots_ = std::make_shared<const std::vector<Root>>();  // mutex_ guards it
};

}  // namespace sandbox_worker::tools
