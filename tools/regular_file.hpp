#pragma once

#include <sys/stat.h>

#include <expected>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

#include "tools/workspace.hpp"

namespace sandbox_worker::tools {

struct RegularFile {
  UniqueFd fd;  // for reading, unless said otherwise
  std::string path;
  struct stat info{};
};

/// Opens a regular file to read. Directories, FIFOs, sockets and devices are errors of their own, and are not
/// even opened: opening alone can wake a writer or rewind a tape. A missing file's error names close names
/// nearby.
std::expected<RegularFile, PathError> open_regular(const Workspace& workspace, std::string_view path);

/// The same for the file at a place that was resolved to write: none when nothing is there. Opened to read,
/// or with O_WRONLY as `least` where it may only be written: its content isn't needed then.
std::expected<std::optional<RegularFile>, PathError> open_existing(const ResolvedPath& place,
                                                                   std::string_view path, int least);

/// Reads at `offset` until `buffer` is full or the file ends. Gives the bytes read; the error is an errno.
std::expected<std::size_t, int> read_at(int fd, std::span<char> buffer, off_t offset);

/// The whole file, or its first `limit` bytes; ECANCELED when asked to stop.
std::expected<std::string, int> read_up_to(const RegularFile& file, std::size_t limit,
                                           const std::stop_token& stop);

}  // namespace sandbox_worker::tools
