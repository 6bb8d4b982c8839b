#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sandbox_worker::tools {

/// Whether it can only stand inside of a character, not begin one.
constexpr bool is_continuation(char byte) noexcept {
  return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U;
}

/// Length of the valid UTF-8 character at the start of `bytes`; 0 when there is none, -1 when what is there
/// is the beginning of one that more bytes could complete.
int utf8_character_length(std::string_view bytes) noexcept;

/// Invalid bytes become U+FFFD, one for each maximal broken sequence; everything else is kept.
std::string to_valid_utf8(std::string_view bytes);

/// Code points in valid UTF-8.
std::size_t count_code_points(std::string_view text) noexcept;

/// Bytes of the first `code_points` of valid UTF-8, or all of them.
std::size_t prefix_bytes(std::string_view text, std::size_t code_points) noexcept;

}  // namespace sandbox_worker::tools
