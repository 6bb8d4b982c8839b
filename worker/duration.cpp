#include "worker/duration.hpp"

#include <charconv>
#include <cmath>
#include <cstdint>

namespace sandbox_worker::worker {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

namespace {

/// Longer is a mistake, and would overflow a deadline.
constexpr milliseconds kLongest = 24h * 365;

}  // namespace

std::optional<milliseconds> parse_duration(std::string_view text, milliseconds bare_unit) {
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc() || !(number >= 0)) return std::nullopt;
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  milliseconds one = 0ms;
  if (unit == "ms") {
    one = 1ms;
  } else if (unit == "s") {
    one = 1s;
  } else if (unit == "m") {
    one = 1min;
  } else if (unit == "h") {
    one = 1h;
  } else if (unit.empty()) {
    if (number == 0) return 0ms;
    one = bare_unit;
  }
  if (one == 0ms) return std::nullopt;
  const double total = number * static_cast<double>(one.count());
  if (total > static_cast<double>(kLongest.count())) return std::nullopt;
  // Up, as 0 would switch the limit off.
  return milliseconds(static_cast<std::int64_t>(std::ceil(total)));
}

}  // namespace sandbox_worker::worker
