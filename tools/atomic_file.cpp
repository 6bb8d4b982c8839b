#include "tools/atomic_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <random>
#include <tuple>
#include <utility>

#include "tools/text.hpp"

namespace sandbox_worker::tools {
namespace {

constexpr std::size_t kBlock = 1024 * 1024;

/// A file in the directory of the one to be replaced, removed again unless it took that one's place.
class TemporaryFile {
 public:
  explicit TemporaryFile(int directory) : directory_(directory) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (fd_) ::unlinkat(directory_, name_.c_str(), 0);
  }

  /// Each of these gives 0 or an errno.
  int create(mode_t mode) {
    std::random_device random;
    while (true) {
      name_ = fmt::format(".sandbox-worker-{:08x}{:08x}", random(), random());
      const int fd =
          ::openat(directory_, name_.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, mode);
      const int error = fd < 0 ? errno : 0;
      if (error == EEXIST) continue;
      fd_.reset(fd);
      return error;
    }
  }

  int write(std::string_view bytes, const std::stop_token& stop) {
    while (!bytes.empty()) {
      if (stop.stop_requested()) return ECANCELED;
      const auto written = ::write(fd_.get(), bytes.data(), std::min(bytes.size(), kBlock));
      if (written < 0 && errno != EINTR) return errno;
      if (written > 0) bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return 0;
  }

  int sync() { return ::fsync(fd_.get()) == 0 ? 0 : errno; }

  int take_place_of(const std::string& name) {
    if (::renameat(directory_, name_.c_str(), directory_, name.c_str()) != 0) return errno;
    fd_.reset();
    return 0;
  }

  int fd() const { return fd_.get(); }

 private:
  const int directory_;
  std::string name_;
  UniqueFd fd_;
};

/// In such a directory a temporary file could be made, but neither renamed nor removed.
bool is_append_only(int directory) {
  struct statx status{};
  return ::statx(directory, "", AT_EMPTY_PATH, 0, &status) == 0 &&
         (status.stx_attributes & STATX_ATTR_APPEND) != 0;
}

/// Access lists, capabilities, labels and user attributes; one that may not be set here is left out.
void copy_attributes(int from, int to) {
  const auto length = ::flistxattr(from, nullptr, 0);
  if (length <= 0) return;
  std::string names(static_cast<std::size_t>(length), '\0');
  const auto filled = ::flistxattr(from, names.data(), names.size());
  if (filled <= 0) return;
  names.resize(static_cast<std::size_t>(filled));
  for (std::size_t at = 0; at < names.size();) {
    const std::string name(names.c_str() + at);
    at += name.size() + 1;
    const auto size = ::fgetxattr(from, name.c_str(), nullptr, 0);
    if (size < 0) continue;
    std::string value(static_cast<std::size_t>(size), '\0');
    const auto got = ::fgetxattr(from, name.c_str(), value.data(), value.size());
    if (got >= 0) ::fsetxattr(to, name.c_str(), value.data(), static_cast<std::size_t>(got), 0);
  }
}

/// Gives `fd`, whose content is complete, what `old` has. The order counts: a write or a change of owner
/// drops capabilities and the set-id bits.
int keep_metadata(const RegularFile& old, int fd, ReplacedFile& replaced) {
  struct stat made{};
  if (::fstat(fd, &made) != 0) return errno;
  mode_t mode = old.info.st_mode & 07777U;
  if (made.st_uid != old.info.st_uid || made.st_gid != old.info.st_gid) {
    if (::fchown(fd, old.info.st_uid, old.info.st_gid) != 0) {
      replaced.owner_lost = true;
      mode &= 0777U;  // set-id bits are the old owner's to give
      std::ignore = ::fchown(fd, static_cast<uid_t>(-1), old.info.st_gid);
    }
  }
  constexpr auto kAccessList = "system.posix_acl_access";  // the directory may have given one to the new file
  if (::fgetxattr(old.fd.get(), kAccessList, nullptr, 0) < 0) ::fremovexattr(fd, kAccessList);
  copy_attributes(old.fd.get(), fd);
  return ::fchmod(fd, mode) == 0 ? 0 : errno;
}

bool same_time(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/// Whether what is at `place` is still what `old` was when it was opened. The change time is not compared: it
/// moves with each new hard link or chmod, which don't change the content.
bool unchanged(const ResolvedPath& place, const RegularFile& old) {
  struct stat now{};
  if (::fstatat(place.parent.get(), place.name.c_str(), &now, AT_SYMLINK_NOFOLLOW) != 0) return false;
  return now.st_dev == old.info.st_dev && now.st_ino == old.info.st_ino && now.st_size == old.info.st_size &&
         same_time(now.st_mtim, old.info.st_mtim);
}

}  // namespace

std::expected<ReplacedFile, PathError> replace_file(const ResolvedPath& place, std::string_view path,
                                                    const NewContent& content, const std::stop_token& stop) {
  const int parent = place.parent.get();
  const auto failed = [&](int error) {
    if (error == ECANCELED) return std::unexpected(PathError{error, "interrupted; the file is unchanged"});
    return std::unexpected(path_error("write", path, error));
  };
  // A rename needs no right to the old file; one that may not be written is left alone all the same.
  if (content.old != nullptr &&
      ::faccessat(parent, place.name.c_str(), W_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW) != 0)
    return failed(errno);
  if (is_append_only(parent)) return std::unexpected(append_only_error(path));

  ReplacedFile replaced;
  TemporaryFile temporary(parent);
  const auto mode = content.old != nullptr ? mode_t{0600} : content.new_file_mode;
  if (const int error = temporary.create(mode)) return std::unexpected(cannot_create_error(path, error));
  if (const int error = temporary.write(content.bytes, stop)) return failed(error);
  if (content.old != nullptr) {
    if (const int error = keep_metadata(*content.old, temporary.fd(), replaced)) return failed(error);
    replaced.other_links = content.old->info.st_nlink - 1;
  }
  if (const int error = temporary.sync()) return failed(error);
  if (content.old != nullptr && content.based_on_old && !unchanged(place, *content.old))
    return failed(ESTALE);
  if (const int error = temporary.take_place_of(place.name)) return failed(error);
  return replaced;
}

std::string replaced_notes(const ReplacedFile& replaced) {
  std::string notes;
  if (replaced.other_links > 0)
    notes += fmt::format("; it had {}, which {} the old content",
                         count_words(replaced.other_links, "other hard link"),
                         replaced.other_links == 1 ? "keeps" : "keep");
  if (replaced.owner_lost) notes += "; its owner could not be kept";
  return notes;
}

}  // namespace sandbox_worker::tools
