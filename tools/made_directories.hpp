#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tools/unique_fd.hpp"

namespace sandbox_worker::tools {

/// Directories that were made on the way to a file, each in the one before. They are removed again, where
/// they are empty, unless keep() was called: a write that fails leaves nothing.
class MadeDirectories {
 public:
  MadeDirectories() = default;
  MadeDirectories(MadeDirectories&& other) noexcept { swap(other); }
  MadeDirectories& operator=(MadeDirectories&& other) noexcept {
    swap(other);
    return *this;
  }
  ~MadeDirectories();

  /// `name` was made in `parent`: a directory made before, unless this is the `first` one of a new chain.
  /// Only the last chain is removed; there is another one where a path leads up and down again.
  void add(int parent, const std::string& name, bool first);
  void keep() noexcept { names_.clear(); }

 private:
  void swap(MadeDirectories& other) noexcept {
    std::swap(base_, other.base_);
    names_.swap(other.names_);
  }

  UniqueFd base_;
  std::vector<std::string> names_;
};

}  // namespace sandbox_worker::tools
