#pragma once

#include <string>

#include "tools/unique_fd.hpp"

namespace sandbox_worker::testing {

/// A directory that is append-only as long as this lives: files can be made in it, but neither renamed nor
/// removed. False where that can't be done.
class AppendOnly {
 public:
  explicit AppendOnly(const std::string& directory);
  AppendOnly(const AppendOnly&) = delete;
  AppendOnly& operator=(const AppendOnly&) = delete;
  ~AppendOnly();

  explicit operator bool() const { return done_; }

 private:
  tools::UniqueFd fd_;
  bool done_;
};

}  // namespace sandbox_worker::testing
