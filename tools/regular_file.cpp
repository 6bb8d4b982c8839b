#include "tools/regular_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "tools/near_names.hpp"

namespace sandbox_worker::tools {
namespace {

constexpr std::size_t kBlock = 256 * 1024;

/// A descriptor to read from for one that only names a file. Where /proc is missing the path is resolved
/// again; whatever is found then is checked again, too.
std::expected<OpenedFile, PathError> reopen(const Workspace& workspace, std::string_view path,
                                            OpenedFile named) {
  const auto link = fmt::format("/proc/self/fd/{}", named.fd.get());
  UniqueFd fd(::open(link.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (fd) return OpenedFile{.fd = std::move(fd), .path = std::move(named.path)};
  if (errno != ENOENT) return std::unexpected(path_error("open", path, errno));
  return workspace.open_file(path, O_RDONLY);
}

}  // namespace

std::expected<RegularFile, PathError> open_regular(const Workspace& workspace, std::string_view path) {
  auto named = workspace.open_file(path, O_PATH);
  if (!named) {
    auto error = std::move(named.error());
    if (error.error == ENOENT) error.text += near_names_hint(workspace, path);
    return std::unexpected(std::move(error));
  }
  RegularFile file;
  if (::fstat(named->fd.get(), &file.info) != 0) return std::unexpected(path_error("open", path, errno));
  if (!S_ISREG(file.info.st_mode)) return std::unexpected(not_regular_error(path, file.info.st_mode));
  auto opened = reopen(workspace, path, std::move(*named));
  if (!opened) return std::unexpected(std::move(opened.error()));
  if (::fstat(opened->fd.get(), &file.info) != 0) return std::unexpected(path_error("open", path, errno));
  if (!S_ISREG(file.info.st_mode)) return std::unexpected(not_regular_error(path, file.info.st_mode));
  file.fd = std::move(opened->fd);
  file.path = std::move(opened->path);
  return file;
}

std::expected<std::optional<RegularFile>, PathError> open_existing(const ResolvedPath& place,
                                                                   std::string_view path, int least) {
  RegularFile file;
  const int parent = place.parent.get();
  const char* name = place.name.c_str();
  const auto failed = [&](int error) { return std::unexpected(path_error("open", path, error)); };
  if (::fstatat(parent, name, &file.info, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return std::nullopt;
    return failed(errno);
  }
  if (S_ISLNK(file.info.st_mode)) return failed(EAGAIN);  // it was none when the path was resolved
  if (!S_ISREG(file.info.st_mode)) return std::unexpected(not_regular_error(path, file.info.st_mode));
  constexpr int kFlags = O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  file.fd = UniqueFd(::openat(parent, name, O_RDONLY | kFlags));
  if (!file.fd && errno == EACCES && least == O_WRONLY)
    file.fd = UniqueFd(::openat(parent, name, O_WRONLY | kFlags));
  if (!file.fd) return failed(errno == ELOOP || errno == ENOENT ? EAGAIN : errno);
  if (::fstat(file.fd.get(), &file.info) != 0) return failed(errno);
  if (!S_ISREG(file.info.st_mode)) return std::unexpected(not_regular_error(path, file.info.st_mode));
  file.path = place.path;
  return file;
}

std::expected<std::size_t, int> read_at(int fd, std::span<char> buffer, off_t offset) {
  std::size_t filled = 0;
  while (filled < buffer.size()) {
    const auto length =
        ::pread(fd, buffer.data() + filled, buffer.size() - filled, offset + static_cast<off_t>(filled));
    if (length == 0) break;
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return std::unexpected(errno);
    filled += static_cast<std::size_t>(length);
  }
  return filled;
}

std::expected<std::string, int> read_up_to(const RegularFile& file, std::size_t limit,
                                           const std::stop_token& stop) {
  // One byte more than the file should have shows its end; it may have grown, and files of /proc have no
  // size.
  const auto expected = std::min(limit, static_cast<std::size_t>(file.info.st_size) + 1);
  std::string bytes;
  bytes.reserve(expected);
  while (bytes.size() < limit) {
    if (stop.stop_requested()) return std::unexpected(ECANCELED);
    const auto before = bytes.size();
    const auto wanted =
        before < expected ? std::min(kBlock, expected - before) : std::min(kBlock, limit - before);
    bytes.resize(before + wanted);
    const auto got = read_at(file.fd.get(), {bytes.data() + before, wanted}, static_cast<off_t>(before));
    if (!got) return std::unexpected(got.error());
    bytes.resize(before + *got);
    if (*got < wanted) break;
  }
  return bytes;
}

}  // namespace sandbox_worker::tools
