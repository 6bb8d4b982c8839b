#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace sandbox_worker::tools {

enum class EntryKind { file, directory, link, other };

struct DirectoryEntry {
  const char* name;  // ends in NUL; valid until the next call
  EntryKind kind;
};

/// Reads a directory in large pieces, without a stat where the file system tells the kind. One per thread;
/// the buffer is kept from one directory to the next.
class DirectoryReader {
 public:
  DirectoryReader() : buffer_(std::make_unique_for_overwrite<Buffer>()) {}

  /// `fd` stays the caller's and must be open while entries are read.
  void start(int fd) noexcept {
    fd_ = fd;
    begin_ = end_ = 0;
  }

  /// The next entry but "." and "..", in the directory's order; false at the end and on an error.
  bool next(DirectoryEntry& entry);

 private:
  struct Buffer {
    alignas(8) char bytes[64 * 1024];
  };

  int fd_ = -1;
  std::unique_ptr<Buffer> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace sandbox_worker::tools
