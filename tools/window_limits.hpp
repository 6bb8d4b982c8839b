#pragma once

#include <cstddef>
#include <limits>

namespace sandbox_worker::tools {

/// What has turned out while one file was searched in windows, by which the rest of it is searched. Bytes.
struct WindowLimits {
  /// A match of so many would have been found wherever it is.
  std::size_t sure = std::numeric_limits<std::size_t>::max();
  /// A window of so many took too long, once: the automaton may have been built meanwhile.
  std::size_t slow = std::numeric_limits<std::size_t>::max();
  /// The same, again.
  std::size_t too_slow = std::numeric_limits<std::size_t>::max();
};

}  // namespace sandbox_worker::tools
