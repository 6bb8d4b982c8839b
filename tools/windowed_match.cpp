#include "tools/windowed_match.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <utility>

namespace sandbox_worker::tools {
namespace {

using std::chrono::nanoseconds;

// What a larger window may take, by what the slowest smaller one took. When a second one takes longer the
// text is not gone through at that pace; the first may have been slow as the automaton was built.
constexpr nanoseconds kWindowTime = std::chrono::milliseconds(25);
// Some texts only become slow when they are seen in large pieces, all at once.
constexpr std::size_t kMaxGrowth = 4;
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
  bool cut = false;         // the match may be longer, as its window ends
  bool whole = false;       // it was gone through to its end, or to a match
  std::size_t slowest = 0;  // where the window begins that took longest
  nanoseconds time{};       // what it took
};

WindowedMatch::Pass WindowedMatch::search(std::size_t window, const Range& range) {
  Pass pass;
  const bool grown = window > program_.window;
  for (std::size_t from = range.begin;; from += window / 2) {
    const std::size_t to = range.end - from > window ? from + window : range.end;
    const bool timed = grown || to < range.end;
    const nanoseconds start = timed ? thread_time() : nanoseconds();
    re2::StringPiece place;
    pass.found = match(range, from, to, place);
    const nanoseconds took = timed ? thread_time() - start : nanoseconds();
    if (took > pass.time) {
      pass.time = took;
      pass.slowest = from;
    }
    if (pass.found && range.located) {
      pass.match = {place.data(), place.size()};
      const auto room = static_cast<std::size_t>(range.text.data() + to - place.data());
      pass.cut = to < range.end && room < longest_;
    }
    const bool too_slow = grown && took > kWindowTime && note_slow(window);
    pass.whole = pass.found || to == range.end;
    if (pass.whole || too_slow || deadline_.passed()) return pass;
  }
}

/// Whether it isn't the first one.
bool WindowedMatch::note_slow(std::size_t window) {
  const bool again = window >= limits_.slow;
  limits_.slow = std::min(limits_.slow, window);
  if (again) limits_.too_slow = std::min(limits_.too_slow, window);
  return again;
}

bool WindowedMatch::match(const Range& range, std::size_t from, std::size_t to,
                          re2::StringPiece& place) const {
  return program_.regex->Match(piece(range.text), from, to, RE2::UNANCHORED, &place, range.located ? 1 : 0);
}

std::size_t WindowedMatch::larger(const Pass& pass, std::size_t window, const Range& range) const {
  auto times = static_cast<std::int64_t>(std::min(kMaxGrowth, (limits_.too_slow - 1) / window));
  if (pass.time * times > kWindowTime) {
    // Once more: the first time, the automaton may have been built.
    const nanoseconds start = thread_time();
    re2::StringPiece place;
    match(range, pass.slowest, std::min(pass.slowest + window, range.end), place);
    times = std::min(times, kWindowTime / std::max(thread_time() - start, nanoseconds(1)));
  }
  return window * static_cast<std::size_t>(times);
}

bool WindowedMatch::find(std::string_view text, std::size_t begin, std::size_t end, std::string_view& found,
                         bool located) {
  const Range range{.text = text, .begin = begin, .end = end, .located = located};
  std::size_t window = program_.window;
  Pass pass = search(window, range);
  const auto sure = [&] {
    return window >= end - begin || (pass.found ? !pass.cut : window / 2 >= longest_);
  };
  while (!sure() && !deadline_.passed()) {
    const std::size_t next = larger(pass, window, range);
    if (next <= window) {
      limits_.sure = std::min(limits_.sure, window / 2);
      break;
    }
    const Pass again = search(next, range);
    if (!again.whole) continue;  // too slow, or cut: either is known from here on
    window = next;
    pass = again;
  }
  if (pass.found && located) found = pass.match;
  return pass.found;
}

}  // namespace sandbox_worker::tools
