#include "worker/file_limit.hpp"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>

namespace sandbox_worker::worker {
namespace {

/// Some lanes, with a shell and a search each. A shell has descriptors up to 255.
constexpr rlim_t kLeast = 256;
/// Some hundred lanes. Not all that the hard limit allows: that may be a billion, and there are commands that
/// close each descriptor up to the limit.
constexpr rlim_t kMost = 4096;

}  // namespace

std::expected<void, std::string> raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return {};
  if (limit.rlim_max < kLeast) {
    return std::unexpected(fmt::format("the hard limit on open files (ulimit -Hn) is {}, but {} are needed",
                                       limit.rlim_max, kLeast));
  }
  const rlim_t enough = std::min(limit.rlim_max, kMost);
  if (limit.rlim_cur >= enough) return {};
  limit.rlim_cur = enough;
  ::setrlimit(RLIMIT_NOFILE, &limit);  // it may be raised up to the hard limit
  return {};
}

}  // namespace sandbox_worker::worker
