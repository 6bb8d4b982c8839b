#include "tools/file_searcher.hpp"

#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace sandbox_worker::tools {
namespace {

// Fits a core's second-level cache with room to spare, and takes 98 of 100 source files in one read.
constexpr std::size_t kBuffer = 256 * 1024;
constexpr std::size_t kLookedAt = 8 * 1024;
// UTF-16 is read in portions of so many bytes.
constexpr std::size_t kUtf16Portion = 64 * 1024;
// No buffer that has grown is kept beyond this size.
constexpr std::size_t kMaxKept = 1024 * 1024;

}  // namespace

bool gives_full_reads(int fd) {
  // Others, such as /proc and what a program serves through FUSE, may give less than they have.
  constexpr std::array<long, 5> kFullReads{EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, TMPFS_MAGIC,
                                           OVERLAYFS_SUPER_MAGIC};
  struct statfs status;
  return ::fstatfs(fd, &status) == 0 && std::ranges::find(kFullReads, status.f_type) != kFullReads.end();
}

FileSearcher::FileSearcher() : buffer_(std::make_unique_for_overwrite<char[]>(kBuffer)), size_(kBuffer) {}

void FileSearcher::grow() {
  auto larger = std::make_unique_for_overwrite<char[]>(size_ * 2);
  std::memcpy(larger.get(), buffer_.get(), have_);
  buffer_ = std::move(larger);
  size_ *= 2;
}

void FileSearcher::shrink() {
  if (size_ <= kMaxKept) return;
  buffer_ = std::make_unique_for_overwrite<char[]>(kBuffer);
  size_ = kBuffer;
}

void FileSearcher::drop(std::size_t bytes) {
  std::memmove(buffer_.get(), buffer_.get() + bytes, have_ - bytes);
  have_ -= bytes;
}

// 0 at the end of the file, or where it can't be read further.
std::size_t FileSearcher::read_some(int fd, char* to, std::size_t room) {
  for (;;) {
    const auto got = ::read(fd, to, room);
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno == EINTR) continue;
    error_ = errno;
    return 0;
  }
}

// False when there is no more.
bool FileSearcher::fill(int fd) {
  if (utf16_) return fill_from_utf16(fd);
  while (have_ < size_) {
    const std::size_t got = read_some(fd, buffer_.get() + have_, size_ - have_);
    have_ += got;
    if (got == 0 || (short_read_is_last_ && have_ < size_)) return false;
  }
  return true;
}

bool FileSearcher::fill_from_utf16(int fd) {
  bool more = true;
  while (size_ - have_ >= Utf16Decoder::kMaxCharacter) {
    const std::size_t got = utf16_->take(buffer_.get() + have_, size_ - have_, !more);
    have_ += got;
    if (got > 0) continue;
    if (!more) return false;
    char portion[kUtf16Portion];
    const std::size_t read = read_some(fd, portion, sizeof portion);
    utf16_->put({portion, read});
    more = read > 0;
  }
  return true;
}

// Fills the buffer for the first time, and finds out what is in it. False: it is binary.
bool FileSearcher::begin(int fd, bool& more) {
  have_ = 0;
  error_ = 0;
  utf16_.reset();
  more = fill(fd);
  const std::string_view have(buffer_.get(), have_);
  const bool utf32 = have.starts_with(std::string_view("\xFF\xFE\0\0", 4));
  const bool little = have.starts_with("\xFF\xFE");
  if (!utf32 && (little || have.starts_with("\xFE\xFF"))) {
    utf16_.emplace(little ? Utf16Decoder::Order::little : Utf16Decoder::Order::big);
    utf16_->put(have.substr(2));
    have_ = 0;
    more = fill(fd);
    return true;
  }
  if (have.substr(0, kLookedAt).find('\0') != std::string_view::npos) return false;
  if (have.starts_with("\xEF\xBB\xBF")) drop(3);
  return true;
}

FileOutcome FileSearcher::search(int fd, const LineSearch& search, const Deadline& deadline,
                                 const OnHit& on_hit) {
  TextSearch text(search, deadline, on_hit);
  bool more = false;
  const bool binary = !begin(fd, more);
  while (!binary) {
    const std::string_view have(buffer_.get(), have_);
    if (more && text.wants_more(have)) {
      if (have_ + Utf16Decoder::kMaxCharacter > size_) grow();
    } else {
      drop(text.run(have, !more));
      if (!more || deadline.has_cut()) break;
    }
    more = fill(fd);
  }
  sure_ = text.sure();
  utf16_.reset();
  shrink();
  if (binary) return FileOutcome::binary;
  return error_ != 0 ? FileOutcome::unreadable : FileOutcome::searched;
}

}  // namespace sandbox_worker::tools
