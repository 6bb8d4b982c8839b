#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "tools/deadline.hpp"
#include "tools/line_search.hpp"

namespace sandbox_worker::tools {

/// One hit in a file; the views are valid during the call.
struct FileHit {
  std::uint64_t line;       // of the first of the lines, from 1
  std::string_view lines;   // whole, without the last newline
  std::size_t match_begin;  // in `lines`
  std::size_t match_end;
  std::size_t more = 0;  // further matches in it, if it is one long line; at most kMaxCounted
  // Of a line that was taken in pieces, `lines` is one piece:
  std::uint64_t before = 0;  // bytes of the line before it
  bool open_end = false;     // there is more of the line behind it
};

/// Lines of more bytes have their matches counted, up to so many.
inline constexpr std::size_t kLongLine = 2000;
inline constexpr std::size_t kMaxCounted = 100;

/// Whether a read from a file of the file system of `fd` gives all that was asked for, unless the file ends.
bool gives_full_reads(int fd);

enum class FileOutcome { searched, binary, unreadable };

/// Reads files and searches them; one per thread, its buffer is kept from file to file. A file is taken in
/// pieces of whole lines, so its size doesn't matter; a line over 1 MiB is searched in pieces of that size.
/// Patterns that cross lines see up to 16 MiB at once.
class FileSearcher {
 public:
  using OnHit = std::function<void(const FileHit&)>;

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
  bool fill(int fd);
  FileOutcome outcome() const;
  std::size_t whole_lines() const;
  FileOutcome search_utf16(int fd, const LineSearch& search, const Deadline& deadline, const OnHit& on_hit);

  void grow();
  void shrink();

  std::unique_ptr<char[]> buffer_;
  std::size_t size_ = 0;  // of the buffer
  std::size_t have_ = 0;  // bytes in it
  bool short_read_is_last_ = false;
  int error_ = 0;  // of the reads of this file
  std::size_t sure_ = kEndless;
};

}  // namespace sandbox_worker::tools
