#include "tools/file_lock.hpp"

#include <sys/stat.h>

#include <functional>
#include <string_view>

namespace sandbox_worker::tools {

std::unique_lock<std::mutex> FileLocks::lock(const ResolvedPath& place) {
  struct stat info{};
  ::fstat(place.parent.get(), &info);
  const std::size_t key = std::hash<std::string_view>()(place.name) ^ (info.st_ino * 0x9E3779B97F4A7C15ULL) ^
                          (info.st_dev * 0xC2B2AE3D27D4EB4FULL);
  return std::unique_lock(locks_[(key ^ (key >> 32U)) % locks_.size()]);
}

}  // namespace sandbox_worker::tools
