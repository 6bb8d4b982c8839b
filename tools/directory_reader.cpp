#include "tools/directory_reader.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

namespace sandbox_worker::tools {
namespace {

EntryKind kind_of(int directory, const dirent64& entry) {
  switch (entry.d_type) {
    case DT_REG:
      return EntryKind::file;
    case DT_DIR:
      return EntryKind::directory;
    case DT_LNK:
      return EntryKind::link;
    case DT_UNKNOWN:
      break;
    default:
      return EntryKind::other;
  }
  struct stat status;
  if (::fstatat(directory, entry.d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) return EntryKind::other;
  if (S_ISREG(status.st_mode)) return EntryKind::file;
  if (S_ISDIR(status.st_mode)) return EntryKind::directory;
  return S_ISLNK(status.st_mode) ? EntryKind::link : EntryKind::other;
}

bool is_dots(const char* name) {
  return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

}  // namespace

bool DirectoryReader::next(DirectoryEntry& entry) {
  while (true) {
    if (begin_ == end_) {
      const auto got = ::getdents64(fd_, buffer_->bytes, sizeof buffer_->bytes);
      if (got <= 0) return false;
      begin_ = 0;
      end_ = static_cast<std::size_t>(got);
    }
    const auto& raw = *reinterpret_cast<const dirent64*>(buffer_->bytes + begin_);
    begin_ += raw.d_reclen;
    if (is_dots(raw.d_name)) continue;
    entry = {raw.d_name, kind_of(fd_, raw)};
    return true;
  }
}

}  // namespace sandbox_worker::tools
