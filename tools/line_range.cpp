#include "tools/line_range.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <memory>
#include <string_view>

#include "tools/regular_file.hpp"

namespace sandbox_worker::tools {
namespace {

constexpr std::size_t kBlock = 256 * 1024;
constexpr off_t kMaxCounted = off_t{256} << 20;  // a second or so from a slow disk

/// Gives a file's bytes block by block until `use` returns false, the file ends or `stop` is asked.
template <class Use>
std::expected<void, int> each_block(int fd, const std::stop_token& stop, Use use) {
  const auto buffer = std::make_unique_for_overwrite<std::array<char, kBlock>>();
  for (off_t offset = 0;;) {
    if (stop.stop_requested()) return std::unexpected(ECANCELED);
    const auto got = read_at(fd, *buffer, offset);
    if (!got) return std::unexpected(got.error());
    if (*got == 0 || !use(std::string_view(buffer->data(), *got))) return {};
    offset += static_cast<off_t>(*got);
  }
}

/// Takes the lines of a range out of a file given in blocks.
class Collector {
 public:
  Collector(LineRange range, std::size_t limit)
      : first_(range.first),
        last_(range.last > 0 ? range.last : std::numeric_limits<std::int64_t>::max()),
        limit_(limit) {
    lines_.last_fitting = first_ - 1;
  }

  /// False when no more is needed.
  bool take(std::string_view block) {
    while (!block.empty()) {
      const auto end = block.find('\n');
      const auto part = block.substr(0, end == std::string_view::npos ? end : end + 1);
      block.remove_prefix(part.size());
      if (line_ >= first_ && !append(part)) return false;
      open_line_ = end == std::string_view::npos;
      if (open_line_) return true;
      if (line_ >= first_) lines_.last_fitting = line_;
      if (line_ == last_) return false;
      ++line_;
    }
    return true;
  }

  Lines finish() {
    lines_.lines_in_file = open_line_ ? line_ : line_ - 1;
    if (!lines_.fits) lines_.text.clear();
    return std::move(lines_);
  }

 private:
  bool append(std::string_view part) {
    lines_.fits = lines_.text.size() + part.size() <= limit_;
    if (lines_.fits) lines_.text += part;
    return lines_.fits;
  }

  const std::int64_t first_;
  const std::int64_t last_;
  const std::size_t limit_;
  Lines lines_;
  std::int64_t line_ = 1;   // the line that the next byte belongs to
  bool open_line_ = false;  // some of it was seen already
};

}  // namespace

std::expected<Lines, int> read_lines(int fd, LineRange range, std::size_t limit,
                                     const std::stop_token& stop) {
  Collector collector(range, limit);
  const auto read = each_block(fd, stop, [&](std::string_view block) { return collector.take(block); });
  if (!read) return std::unexpected(read.error());
  return collector.finish();
}

std::expected<LineCount, int> count_lines(int fd, std::size_t limit, const std::stop_token& stop) {
  LineCount count;
  off_t seen = 0;
  char last_byte = '\n';
  const auto read = each_block(fd, stop, [&](std::string_view block) {
    const auto fitting = std::min(block.size(), limit - std::min(limit, static_cast<std::size_t>(seen)));
    count.first_that_fit += std::ranges::count(block.substr(0, fitting), '\n');
    count.lines += std::ranges::count(block, '\n');
    last_byte = block.back();
    seen += static_cast<off_t>(block.size());
    count.complete = seen < kMaxCounted;
    return count.complete;
  });
  if (!read) return std::unexpected(read.error());
  if (count.complete && last_byte != '\n') ++count.lines;
  return count;
}

}  // namespace sandbox_worker::tools
