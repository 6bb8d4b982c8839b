#include "tools/file_searcher.hpp"

#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "tools/newlines.hpp"
#include "tools/utf8_step.hpp"

namespace sandbox_worker::tools {
namespace {

// Fits a core's second-level cache with room to spare, and takes 98 of 100 source files in one read.
constexpr std::size_t kBuffer = 256 * 1024;
constexpr std::size_t kMaxLine = 1024 * 1024;
constexpr std::size_t kMaxWhole = 16 * 1024 * 1024;
constexpr std::size_t kLookedAt = 8 * 1024;
// Text between two looks at the deadline, unless a pattern's window is smaller.
constexpr std::size_t kMaxBlock = 64 * 1024;

/// Searches consecutive pieces of a text and knows which line each begins with.
class TextSearch {
 public:
  /// `sure` is lowered where pieces were needed. All must outlive it.
  TextSearch(const LineSearch& search, const Deadline& deadline, const FileSearcher::OnHit& on_hit,
             std::size_t& sure)
      : search_(search),
        deadline_(deadline),
        on_hit_(on_hit),
        sure_(sure),
        block_(std::min(search.window(), kMaxBlock)) {}

  /// `text` begins at the beginning of a line, or in the middle of one that is too long; `last`: nothing
  /// follows it.
  bool run(std::string_view text, bool last) {
    text_ = text;
    last_ = last;
    counted_ = 0;
    for (std::size_t at = 0; at < text.size();) {
      if (deadline_.passed()) return false;
      const std::size_t size = search_.crosses_lines() ? text.size() : block_size(text.substr(at));
      run_block(at, size);
      at += size;
    }
    if (!last) count_to(text.size());
    const auto newline = text.rfind('\n');
    before_ = newline == std::string_view::npos ? before_ + text.size() : text.size() - newline - 1;
    return true;
  }

 private:
  std::size_t block_size(std::string_view text) const {
    if (text.size() <= block_) return text.size();
    const auto newline = text.rfind('\n', block_ - 1);
    return newline != std::string_view::npos ? newline + 1
                                             : std::min(text.find('\n', block_), text.size() - 1) + 1;
  }

  void run_block(std::size_t begin, std::size_t size) {
    const std::string_view block = text_.substr(begin, size);
    if (search_.crosses_lines() && !search_.may_match(block)) return;
    LineScan scan(search_, block, deadline_);
    while (const auto hit = scan.next()) {
      count_to(begin + hit->begin);
      FileHit found{.line = line_,
                    .lines = block.substr(hit->begin, hit->end - hit->begin),
                    .match_begin = hit->match_begin - hit->begin,
                    .match_end = hit->match_end - hit->begin,
                    .more = 0,
                    .before = begin + hit->begin == 0 ? before_ : 0,
                    .open_end = !last_ && begin + hit->end == text_.size()};
      if (found.lines.size() > kLongLine && !search_.crosses_lines())
        found.more = std::max<std::size_t>(scan.count_matches(*hit, kMaxCounted + 1), 1) - 1;
      on_hit_(found);
      if (deadline_.has_cut()) return;
    }
    sure_ = std::min(sure_, scan.sure());
  }

  // Lines are only counted once a hit asks for its number.
  void count_to(std::size_t to) {
    line_ += count_newlines(text_.substr(counted_, to - counted_));
    counted_ = to;
  }

  const LineSearch& search_;
  const Deadline& deadline_;
  const FileSearcher::OnHit& on_hit_;
  std::size_t& sure_;
  const std::size_t block_;  // bytes
  std::string_view text_;
  bool last_ = false;
  std::uint64_t before_ = 0;  // bytes of the line that `text_` begins in the middle of
  std::size_t counted_ = 0;   // bytes of `text_` whose newlines are in `line_`
  std::uint64_t line_ = 1;
};

// `text` begins with the byte order mark. What is no valid UTF-16 becomes U+FFFD.
std::string utf8_of_utf16(std::string_view text) {
  const bool little = text[0] == '\xFF';
  const auto unit = [&](std::size_t at) -> std::uint32_t {
    const auto a = static_cast<unsigned char>(text[at]);
    const auto b = static_cast<unsigned char>(text[at + 1]);
    return little ? a | static_cast<std::uint32_t>(b) << 8 : b | static_cast<std::uint32_t>(a) << 8;
  };
  std::string out;
  out.reserve(text.size() / 2);
  for (std::size_t at = 2; at + 1 < text.size(); at += 2) {
    std::uint32_t c = unit(at);
    if (c >= 0xD800 && c < 0xE000) {
      const std::uint32_t low = c < 0xDC00 && at + 3 < text.size() ? unit(at + 2) : 0;
      const bool pair = low >= 0xDC00 && low < 0xE000;
      c = pair ? 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00) : 0xFFFD;
      if (pair) at += 2;
    }
    append_utf8(out, c);
  }
  return out;
}

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
  if (size_ <= kMaxLine) return;
  buffer_ = std::make_unique_for_overwrite<char[]>(kBuffer);
  size_ = kBuffer;
}

// False at the end of the file, or where it can't be read further.
bool FileSearcher::fill(int fd) {
  while (have_ < size_) {
    const auto got = ::read(fd, buffer_.get() + have_, size_ - have_);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) error_ = errno;
    if (got <= 0) return false;
    have_ += static_cast<std::size_t>(got);
    if (short_read_is_last_ && have_ < size_) return false;
  }
  return true;
}

std::size_t FileSearcher::whole_lines() const {
  const void* const newline = ::memrchr(buffer_.get(), '\n', have_);
  return newline == nullptr ? 0
                            : static_cast<std::size_t>(static_cast<const char*>(newline) - buffer_.get()) + 1;
}

FileOutcome FileSearcher::outcome() const {
  return error_ != 0 ? FileOutcome::unreadable : FileOutcome::searched;
}

FileOutcome FileSearcher::search(int fd, const LineSearch& search, const Deadline& deadline,
                                 const OnHit& on_hit) {
  const std::size_t most = search.crosses_lines() ? kMaxWhole : kMaxLine;
  TextSearch text(search, deadline, on_hit, sure_);
  have_ = 0;
  error_ = 0;
  sure_ = kEndless;
  for (bool first = true, more = true; more; first = false) {
    more = fill(fd);
    std::string_view have(buffer_.get(), have_);
    if (first) {
      if (have.empty()) return outcome();
      const bool utf32 = have.starts_with(std::string_view("\xFF\xFE\0\0", 4));
      if (!utf32 && (have.starts_with("\xFF\xFE") || have.starts_with("\xFE\xFF"))) {
        return search_utf16(fd, search, deadline, on_hit);
      }
      if (have.substr(0, kLookedAt).find('\0') != std::string_view::npos) return FileOutcome::binary;
    }
    std::size_t use = more ? whole_lines() : have_;
    if (more && (use == 0 || search.crosses_lines()) && size_ < most) {
      grow();
      continue;
    }
    if (use == 0) use = have_;
    if (first && have.starts_with("\xEF\xBB\xBF")) {
      if (!text.run(have.substr(3, use - 3), !more)) break;
    } else if (!text.run(have.substr(0, use), !more)) {
      break;
    }
    std::memmove(buffer_.get(), buffer_.get() + use, have_ - use);
    have_ -= use;
  }
  shrink();
  return outcome();
}

FileOutcome FileSearcher::search_utf16(int fd, const LineSearch& search, const Deadline& deadline,
                                       const OnHit& on_hit) {
  while (size_ < kMaxWhole && have_ == size_) {
    grow();
    fill(fd);
  }
  const std::string text = utf8_of_utf16({buffer_.get(), have_});
  TextSearch(search, deadline, on_hit, sure_).run(text, true);
  shrink();
  return outcome();
}

}  // namespace sandbox_worker::tools
