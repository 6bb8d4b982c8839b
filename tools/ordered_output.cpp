#include "tools/ordered_output.hpp"

#include <utility>

namespace sandbox_worker::tools {
namespace {

constexpr std::size_t kMaxWaiting = 8 * 1024 * 1024;

}  // namespace

void OrderedOutput::add(std::uint64_t number, const MatchChunk& chunk) {
  std::unique_lock lock(mutex_);
  turn_.wait(lock, [&] { return number == next_; });
  sink_(chunk);
}

void OrderedOutput::finish(std::uint64_t number, MatchChunk chunk) {
  std::unique_lock lock(mutex_);
  turn_.wait(lock, [&] { return number == next_ || waiting_bytes_ + chunk.text.size() <= kMaxWaiting; });
  if (number != next_) {
    waiting_bytes_ += chunk.text.size();
    waiting_.emplace(number, std::move(chunk));
    return;
  }
  if (!chunk.text.empty()) sink_(chunk);
  ++next_;
  for (auto first = waiting_.begin(); first != waiting_.end() && first->first == next_;
       first = waiting_.begin()) {
    if (!first->second.text.empty()) sink_(first->second);
    waiting_bytes_ -= first->second.text.size();
    waiting_.erase(first);
    ++next_;
  }
  turn_.notify_all();
}

}  // namespace sandbox_worker::tools
