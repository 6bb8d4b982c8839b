#include "tools/utf8.hpp"

#include <algorithm>

namespace sandbox_worker::tools {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct Lead {
  int length;
  unsigned char low;  // bounds of the second byte: no overlong forms, no surrogates, nothing past U+10FFFF
  unsigned char high;
};

Lead lead_of(unsigned char byte) noexcept {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte < 0xF0)
    return {3, static_cast<unsigned char>(byte == 0xE0 ? 0xA0 : 0x80),
            static_cast<unsigned char>(byte == 0xED ? 0x9F : 0xBF)};
  if (byte < 0xF5)
    return {4, static_cast<unsigned char>(byte == 0xF0 ? 0x90 : 0x80),
            static_cast<unsigned char>(byte == 0xF4 ? 0x8F : 0xBF)};
  return {0, 0, 0};
}

bool starts_character(char byte) noexcept {
  return !is_continuation(byte);
}

/// How many bytes of a broken sequence one replacement stands for.
std::size_t broken_length(std::string_view bytes) noexcept {
  const Lead lead = lead_of(static_cast<unsigned char>(bytes.front()));
  std::size_t length = 1;
  while (length < static_cast<std::size_t>(lead.length) && length < bytes.size()) {
    const auto next = static_cast<unsigned char>(bytes[length]);
    if (next < (length == 1 ? lead.low : 0x80) || next > (length == 1 ? lead.high : 0xBF)) break;
    ++length;
  }
  return length;
}

}  // namespace

int utf8_character_length(std::string_view bytes) noexcept {
  if (bytes.empty()) return -1;
  const Lead lead = lead_of(static_cast<unsigned char>(bytes.front()));
  if (lead.length <= 1) return lead.length;
  const std::size_t length = broken_length(bytes);
  if (length == static_cast<std::size_t>(lead.length)) return lead.length;
  return length == bytes.size() ? -1 : 0;
}

std::string to_valid_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const int length = utf8_character_length(bytes);
    std::size_t taken = length > 0 ? static_cast<std::size_t>(length) : broken_length(bytes);
    text += length > 0 ? bytes.substr(0, taken) : kReplacement;
    bytes.remove_prefix(taken);
  }
  return text;
}

std::size_t count_code_points(std::string_view text) noexcept {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), starts_character));
}

std::size_t prefix_bytes(std::string_view text, std::size_t code_points) noexcept {
  std::size_t at = 0;
  for (; at < text.size(); ++at) {
    if (!starts_character(text[at])) continue;
    if (code_points == 0) return at;
    --code_points;
  }
  return at;
}

}  // namespace sandbox_worker::tools
