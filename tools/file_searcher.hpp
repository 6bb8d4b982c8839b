#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include "tools/deadline.hpp"
#include "tools/line_search.hpp"
#include "tools/text_search.hpp"
#include "tools/utf16.hpp"

namespace sandbox_worker::tools {

/// Whether a read from a file of the file system of `fd` gives all that was asked for, unless the file ends.
bool gives_full_reads(int fd);

enum class FileOutcome { searched, binary, unreadable };

/// Reads files and searches them; one per thread, its buffer is kept from file to file. A file is taken in
/// pieces, so its size doesn't matter.
class FileSearcher {
 public:
  using OnHit = TextSearch::OnHit;

  FileSearcher();

  /// Whether the next files are of a file system that gives full reads: then one that comes short is taken as
  /// the last, which saves a system call for each file. Else they are read until nothing comes.
  void expect_full_reads(bool full) noexcept { short_read_is_last_ = full; }

  /// `fd` is at the beginning of a file. A file with a NUL in its first 8 KiB is binary and isn't searched,
  /// unless it is UTF-16 with a byte order mark, which is searched as UTF-8.
  FileOutcome search(int fd, const LineSearch& search, const Deadline& deadline, const OnHit& on_hit);

  /// Why the last file was unreadable, wholly or from some place on; an errno.
  int error() const noexcept { return error_; }
  /// Longer matches than of so many bytes may be missing in the last file, since it was searched in pieces;
  /// kEndless: none is.
  std::size_t sure() const noexcept { return sure_; }

 private:
  bool begin(int fd, bool& more);
  bool fill(int fd);
  bool fill_from_utf16(int fd);
  std::size_t read_some(int fd, char* to, std::size_t room);
  void drop(std::size_t bytes);

  void grow();
  void shrink();

  std::unique_ptr<char[]> buffer_;
  std::size_t size_ = 0;  // of the buffer
  std::size_t have_ = 0;  // bytes in it
  bool short_read_is_last_ = false;
  std::optional<Utf16Decoder> utf16_;  // through which this file is read
  int error_ = 0;                      // of the reads of this file
  std::size_t sure_ = kEndless;
};

}  // namespace sandbox_worker::tools
