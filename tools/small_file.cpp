#include "tools/small_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace sandbox_worker::tools {
namespace {

constexpr std::size_t kMaxSize = 4 * 1024 * 1024;

}  // namespace

SmallFile read_small_file(UniqueFd fd) {
  struct stat status;
  if (!fd || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) return {.text = {}, .whole = true};
  std::string text(std::min(static_cast<std::size_t>(status.st_size), kMaxSize), '\0');
  std::size_t have = 0;
  while (have < text.size()) {
    const auto got = ::read(fd.get(), text.data() + have, text.size() - have);
    if (got <= 0) break;
    have += static_cast<std::size_t>(got);
  }
  text.resize(have);
  return {.text = std::move(text), .whole = static_cast<std::size_t>(status.st_size) <= kMaxSize};
}

SmallFile read_small_file(int directory, const std::string& path) {
  struct stat status;
  if (::fstatat(directory, path.c_str(), &status, 0) != 0 || !S_ISREG(status.st_mode))
    return {.text = {}, .whole = true};
  return read_small_file(
      UniqueFd(::openat(directory, path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)));
}

}  // namespace sandbox_worker::tools
