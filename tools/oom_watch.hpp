#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/unique_fd.hpp"

namespace sandbox_worker::tools {

/// Where the kernel counts processes that it killed for memory, the best file first: in our control group (v1
/// or v2), from the text of /proc/self/cgroup, else on the machine. `root` stands before each path.
std::vector<std::string> oom_counter_files(std::string_view cgroups, const std::string& root);

/// The count in the text of such a file.
std::optional<std::uint64_t> oom_kills_in(std::string_view text);

/// That count. Reading takes some microseconds. Thread-safe.
class OomCounter {
 public:
  /// The one of this process, opened with the first call: its group doesn't change.
  static const OomCounter& ours();

  /// Opens the first file below `root` that has a count.
  explicit OomCounter(const std::string& root = {});

  /// 0 where nothing counts.
  std::uint64_t read() const;

 private:
  UniqueFd file_;
};

}  // namespace sandbox_worker::tools
