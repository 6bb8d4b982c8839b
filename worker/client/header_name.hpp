#pragma once

#include <algorithm>
#include <cctype>
#include <string_view>

namespace sandbox_worker::worker {

/// Header names differ in case only by taste.
inline bool same_header_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

}  // namespace sandbox_worker::worker
