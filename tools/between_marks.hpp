#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace sandbox_worker::tools {

/// Takes texts out of a stream that may hold anything besides: each stands between two equal marks.
class BetweenMarks {
 public:
  /// `max`: bytes of a text that is kept.
  explicit BetweenMarks(std::size_t max) : max_(max) {}

  /// From now on the next text is looked for, which has this mark (not empty), also in what has come behind
  /// the one before.
  void expect(std::string mark);
  /// Whether it hasn't come as a whole.
  bool expects() const noexcept { return !mark_.empty(); }
  /// What comes next of the stream.
  void feed(std::string_view bytes);
  /// The last text that has come as a whole; nothing where it was too large.
  const std::optional<std::string>& text() const noexcept { return text_; }

 private:
  bool find_mark();

  const std::size_t max_;
  std::string mark_;          // empty: nothing is expected
  std::string come_;          // what has come and may count
  std::size_t searched_ = 0;  // bytes of that, without a mark
  bool begun_ = false;        // the first mark has come
  bool too_large_ = false;    // the text behind it
  std::optional<std::string> text_{""};
};

}  // namespace sandbox_worker::tools
