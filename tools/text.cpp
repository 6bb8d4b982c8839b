#include "tools/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

#include "tools/utf8.hpp"

namespace sandbox_worker::tools {
namespace {

struct Sequence {
  std::size_t length;  // bytes to take
  bool valid;
};

/// The character at the front of `text`, or the longest start of one (which a single U+FFFD stands for).
Sequence next_sequence(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {1, true};
  std::size_t length = 0;
  unsigned char low =
      0x80;  // bounds of the second byte: no overlong forms, no surrogates, nothing above U+10FFFF
  unsigned char high = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return {1, false};
  }
  if (text.size() < 2 || byte(1) < low || byte(1) > high) return {1, false};
  for (std::size_t i = 2; i < length; ++i)
    if (i >= text.size() || !is_continuation(text[i])) return {i, false};
  return {length, true};
}

/// Whether none of eight bytes is NUL or above ASCII. A borrow can only come from a NUL byte, so that the
/// answer is right for the whole word.
bool is_plain(const char* eight_bytes) {
  constexpr std::uint64_t kOnes = 0x0101010101010101ULL;
  constexpr std::uint64_t kHighBits = 0x8080808080808080ULL;
  std::uint64_t word = 0;
  std::memcpy(&word, eight_bytes, sizeof word);
  return ((word | (word - kOnes)) & kHighBits) == 0;
}

/// Length of the leading part that can be shown as it is.
std::size_t clean_prefix(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    if (text.size() - at >= 8 && is_plain(text.data() + at)) {
      at += 8;
      continue;
    }
    if (text[at] == '\0') return at;
    const auto sequence = next_sequence(text.substr(at));
    if (!sequence.valid) return at;
    at += sequence.length;
  }
  return at;
}

}  // namespace

ShownText show_text(std::string bytes) {
  ShownText shown;
  std::string_view rest = bytes;
  while (true) {
    const auto clean = clean_prefix(rest);
    if (clean == bytes.size()) {
      shown.text = std::move(bytes);
      return shown;
    }
    shown.text += rest.substr(0, clean);
    rest.remove_prefix(clean);
    if (rest.empty()) return shown;
    if (rest.front() == '\0') {
      ++shown.nuls;
      shown.text += "\u2400";
      rest.remove_prefix(1);
    } else {
      ++shown.replaced;
      shown.text += "\uFFFD";
      rest.remove_prefix(next_sequence(rest).length);
    }
  }
}

std::string size_words(unsigned long long bytes) {
  if (bytes < 1024) return count_words(bytes, "byte");
  constexpr std::array kUnits = {"KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  auto number = fmt::format("{:.1f}", value);
  if (number.ends_with(".0")) number.resize(number.size() - 2);
  return number + " " + kUnits[unit];
}

SizeAndLimit size_and_limit_words(unsigned long long size, unsigned long long limit) {
  SizeAndLimit words{size_words(size), size_words(limit)};
  if (words.size == words.limit) words = {count_words(size, "byte"), count_words(limit, "byte")};
  return words;
}

std::string count_words(unsigned long long count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string shorten(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return std::string(text);
  std::size_t end = limit;
  while (end > 0 && is_continuation(text[end])) --end;
  return std::string(text.substr(0, end)) + "…";
}

std::string show_line(std::string_view line, std::size_t limit, std::size_t focus) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  const char* before = "";
  if (line.size() > limit && focus > limit / 2) {
    std::size_t from = std::min(focus - limit / 4, line.size() - limit / 2);
    while (from < line.size() && is_continuation(line[from])) ++from;
    line.remove_prefix(from);
    before = "…";
  }
  constexpr std::size_t kLongestCharacter = 4;  // one that is cut here is left out below
  return before + shorten(show_text(std::string(line.substr(0, limit + kLongestCharacter))).text, limit);
}

std::string time_words(std::chrono::milliseconds time) {
  if (time.count() % 1000 == 0) return fmt::format("{} s", time.count() / 1000);
  return fmt::format("{} ms", time.count());
}

}  // namespace sandbox_worker::tools
