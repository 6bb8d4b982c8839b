#include "tools/occurrences.hpp"

#include <string.h>

#include <algorithm>

namespace sandbox_worker::tools {
namespace {

/// Bytes that are searched between two looks at the stop token: 30 ms at worst.
constexpr std::size_t kWindow = 4 * 1024 * 1024;

void note(Occurrences& found, std::size_t at) {
  if (found.first.size() < Occurrences::kMaxFirst) found.first.push_back(at);
  ++found.count;
}

/// How far `text` must be moved to lie on itself, if at most by a quarter of its length; otherwise 0.
std::size_t short_period(std::string_view text) {
  if (text.size() < 4) return 0;
  // With such a period, the first half is found again one period on. It can't be found before: the half would
  // have two periods, and as both together fit into it, their greatest common divisor as a third (Fine and
  // Wilf), which then were the shorter one of the whole text.
  const auto half = text.substr(0, text.size() / 2);
  const auto period = find_from(text, half, 1, {});
  const bool is_short = period <= text.size() / 4;
  return is_short && text.substr(period) == text.substr(0, text.size() - period) ? period : 0;
}

/// Where the part of `text` that repeats itself after `period` bytes ends; it reaches to `from` at least.
std::size_t end_of_repetition(std::string_view text, std::size_t from, std::size_t period) {
  while (from < text.size() && text[from] == text[from - period]) ++from;
  return from;
}

}  // namespace

std::size_t find_from(std::string_view text, std::string_view wanted, std::size_t at,
                      const std::stop_token& stop) {
  const auto step = std::max(kWindow, wanted.size());
  for (; at < text.size() && !stop.stop_requested(); at += step) {
    const auto window = text.substr(at, step + wanted.size() - 1);
    if (const void* found = ::memmem(window.data(), window.size(), wanted.data(), wanted.size()))
      return static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
  }
  return std::string_view::npos;
}

Occurrences find_apart(std::string_view text, std::string_view wanted, const std::stop_token& stop) {
  Occurrences found;
  for (auto at = find_from(text, wanted, 0, stop); at != std::string_view::npos;
       at = find_from(text, wanted, at + wanted.size(), stop))
    note(found, at);
  return found;
}

Occurrences find_all(std::string_view text, std::string_view wanted, const std::stop_token& stop) {
  Occurrences found;
  const auto period = short_period(wanted);
  // Two places that overlap are a period apart. Those one short period apart are counted without a search;
  // the next one is then more than a quarter on, so that a byte is searched a few times at most.
  const auto step = std::max(wanted.size() / 4, std::size_t{1});
  for (auto at = find_from(text, wanted, 0, stop); at != std::string_view::npos;
       at = find_from(text, wanted, at + step, stop)) {
    note(found, at);
    if (period == 0) continue;
    const auto end = end_of_repetition(text, at + wanted.size(), period);
    for (; at + period + wanted.size() <= end; at += period) note(found, at + period);
  }
  return found;
}

}  // namespace sandbox_worker::tools
