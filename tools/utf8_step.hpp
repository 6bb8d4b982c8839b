#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace sandbox_worker::tools {

/// One character of a text that may hold anything. A byte that belongs to no valid character stands for
/// itself, above the code points: 0x110000 + byte.
struct Utf8Step {
  std::uint32_t code_point;
  std::uint32_t length;
};

inline constexpr std::uint32_t kInvalidByte = 0x110000;

/// The character at `at`, which must be inside `text`.
constexpr Utf8Step utf8_step(std::string_view text, std::size_t at) noexcept {
  const auto byte = [&](std::size_t i) -> std::uint32_t { return static_cast<unsigned char>(text[at + i]); };
  const std::uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::uint32_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || at + length > text.size()) return {kInvalidByte + lead, 1};
  std::uint32_t code_point = lead & (0x7Fu >> length);
  for (std::uint32_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {kInvalidByte + lead, 1};
    code_point = code_point << 6 | (byte(i) & 0x3F);
  }
  constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
  if (code_point < kSmallest[length] || code_point > 0x10FFFF || surrogate) return {kInvalidByte + lead, 1};
  return {code_point, length};
}

/// How many bytes from the beginning of `text` are valid UTF-8.
inline std::size_t valid_utf8_prefix(std::string_view text) noexcept {
  std::size_t at = 0;
  while (at < text.size()) {
    std::uint64_t word;
    if (at + sizeof word <= text.size()) {
      std::memcpy(&word, text.data() + at, sizeof word);
      if ((word & 0x8080808080808080) == 0) {
        at += sizeof word;
        continue;
      }
    }
    const auto [c, length] = utf8_step(text, at);
    if (c >= kInvalidByte) break;
    at += length;
  }
  return at;
}

/// Writes a code point, which is none of the invalid bytes above, to up to 4 bytes; gives their number.
inline std::size_t encode_utf8(char* to, std::uint32_t c) noexcept {
  if (c < 0x80) {
    *to = static_cast<char>(c);
    return 1;
  }
  const unsigned more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  *to = static_cast<char>((0xF00u >> (more + 1) & 0xFFu) | c >> (6 * more));
  for (unsigned i = more; i-- > 0;) *++to = static_cast<char>(0x80 | (c >> (6 * i) & 0x3F));
  return more + 1;
}

inline void append_utf8(std::string& out, std::uint32_t c) {
  char bytes[4];
  out.append(bytes, encode_utf8(bytes, c));
}

}  // namespace sandbox_worker::tools
