#pragma once

#include <cstdint>

namespace sandbox_worker::tools {

/// Tells whether the kernel has killed a process for memory since the watch was made, in our control group
/// (v1 or v2) or, where that can't be read, on the machine.
class OomWatch {
 public:
  OomWatch();
  bool killed_since() const;

 private:
  std::uint64_t before_;
};

}  // namespace sandbox_worker::tools
