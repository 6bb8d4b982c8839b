#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tools/unique_fd.hpp"

namespace sandbox_worker::tools {

/// The directory of our own control group (version 2), from the texts of /proc/self/mountinfo and
/// /proc/self/cgroup; nothing where there is none.
std::optional<std::string> own_control_group(std::string_view mountinfo, std::string_view cgroup);

/// A control group (version 2) of our own, below ours, for what one lane's shells start: whoever is in it
/// ends with it, all at once, however quickly it forks.
class ControlGroup {
 public:
  /// Null where we may not make one, which is no error: most containers mount the groups read-only. Empty
  /// ones of workers that ended without a teardown are removed on the way.
  static std::unique_ptr<ControlGroup> make();
  ~ControlGroup();  // remove()
  ControlGroup(const ControlGroup&) = delete;
  ControlGroup& operator=(const ControlGroup&) = delete;

  /// For clone3, which starts a child inside.
  int directory() const noexcept { return directory_.get(); }
  const std::string& path() const noexcept { return path_; }
  /// Kills all that is in it, where the kernel can (5.14).
  void kill() const;
  /// Kills what is in it and removes it; waits 100 ms for the killed ones at most.
  void remove();

 private:
  ControlGroup(std::string path, UniqueFd directory);

  const std::string path_;
  UniqueFd directory_;  // none once removed
};

}  // namespace sandbox_worker::tools
