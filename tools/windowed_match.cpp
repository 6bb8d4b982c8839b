#include "tools/windowed_match.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <utility>

namespace sandbox_worker::tools {
namespace {

using std::chrono::nanoseconds;

// What a larger window should take at most, by what the slowest smaller one took; half of what a cancel may
// wait, as an automaton that isn't built yet takes up to 30 ms more.
constexpr nanoseconds kWindowTime = std::chrono::milliseconds(25);
// Beyond that, a text that only becomes slow when it is seen in large pieces would hold up a cancel.
constexpr std::int64_t kMaxGrowth = 8;
// Smaller windows find next to nothing; even the largest program takes some 50 ms for so many bytes.
constexpr std::size_t kMinWindow = 512;

// Not the wall's clock: what is found must not depend on what else runs.
nanoseconds thread_time() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + nanoseconds(now.tv_nsec);
}

re2::StringPiece piece(std::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace

RegexProgram::RegexProgram(std::unique_ptr<const RE2> compiled, std::size_t max_steps)
    : regex(std::move(compiled)),
      window(std::max(max_steps / static_cast<std::size_t>(std::max(1, regex->ProgramSize())), kMinWindow)) {}

/// What one way through a text in windows of one size has found.
struct WindowedMatch::Pass {
  bool found = false;
  std::string_view match;
  bool cut = false;         // the match ends with its window and may be longer
  std::size_t slowest = 0;  // where the window begins that took longest
  nanoseconds time{};       // what it took
};

WindowedMatch::Pass WindowedMatch::search(std::size_t window, const Range& range) const {
  Pass pass;
  for (std::size_t from = range.begin;; from += window / 2) {
    const std::size_t to = range.end - from > window ? from + window : range.end;
    const nanoseconds start = to < range.end ? thread_time() : nanoseconds();
    re2::StringPiece place;
    pass.found = match(range, from, to, place);
    if (to < range.end && thread_time() - start > pass.time) {
      pass.time = thread_time() - start;
      pass.slowest = from;
    }
    if (pass.found && range.located) {
      pass.match = {place.data(), place.size()};
      pass.cut = to < range.end && place.end() == range.text.data() + to && place.size() < longest_;
    }
    if (pass.found || to == range.end || deadline_.passed()) return pass;
  }
}

bool WindowedMatch::match(const Range& range, std::size_t from, std::size_t to,
                          re2::StringPiece& place) const {
  return program_.regex->Match(piece(range.text), from, to, RE2::UNANCHORED, &place, range.located ? 1 : 0);
}

std::int64_t WindowedMatch::growth(const Pass& pass, std::size_t window, const Range& range) const {
  if (pass.time * kMaxGrowth <= kWindowTime) return kMaxGrowth;
  // Once more: the first time, the automaton may have been built.
  const nanoseconds start = thread_time();
  re2::StringPiece place;
  match(range, pass.slowest, pass.slowest + window, place);
  return std::min(kWindowTime / std::max(thread_time() - start, nanoseconds(1)), kMaxGrowth);
}

bool WindowedMatch::find(std::string_view text, std::size_t begin, std::size_t end, std::string_view& match,
                         bool located) {
  const Range range{.text = text, .begin = begin, .end = end, .located = located};
  for (std::size_t window = program_.window;;) {
    const Pass pass = search(window, range);
    if (pass.found && located) match = pass.match;
    const bool whole = window >= end - begin;
    const bool sure = pass.found ? !pass.cut : window / 2 >= longest_;
    if (whole || sure || deadline_.passed()) return pass.found;
    const std::int64_t times = growth(pass, window, range);
    if (times < 2) {
      if (!pass.found) sure_ = std::min(sure_, window / 2);
      return pass.found;
    }
    window *= static_cast<std::size_t>(times);
  }
}

}  // namespace sandbox_worker::tools
