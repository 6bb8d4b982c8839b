#include "tools/between_marks.hpp"

#include <algorithm>
#include <utility>

namespace sandbox_worker::tools {

void BetweenMarks::expect(std::string mark) {
  mark_ = std::move(mark);
  searched_ = 0;
  begun_ = false;
  too_large_ = false;
  feed({});
}

void BetweenMarks::feed(std::string_view bytes) {
  come_ += bytes;
  while (expects() && find_mark()) continue;
}

/// False: it hasn't come yet.
bool BetweenMarks::find_mark() {
  const auto at = come_.find(mark_, searched_);
  if (at == std::string::npos) {
    searched_ = come_.size() - std::min(come_.size(), mark_.size());  // its beginning may have come
    too_large_ = begun_ && (too_large_ || come_.size() > max_ + mark_.size());
    if (!begun_ || too_large_) come_.erase(0, std::exchange(searched_, 0));
    return false;
  }
  const bool ends = std::exchange(begun_, true);
  if (ends) {
    text_.reset();
    if (!too_large_ && at <= max_) text_ = come_.substr(0, at);
  }
  come_.erase(0, at + mark_.size());
  searched_ = 0;
  if (ends) mark_.clear();
  return true;
}

}  // namespace sandbox_worker::tools
