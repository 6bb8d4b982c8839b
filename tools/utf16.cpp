#include "tools/utf16.hpp"

#include <cstdint>

#include "tools/utf8_step.hpp"

namespace sandbox_worker::tools {
namespace {

bool is_surrogate(std::uint32_t c) {
  return c >= 0xD800 && c < 0xE000;
}
bool is_high(std::uint32_t c) {
  return c >= 0xD800 && c < 0xDC00;
}

}  // namespace

void Utf16Decoder::put(std::string_view bytes) {
  waiting_.erase(0, at_);
  at_ = 0;
  waiting_ += bytes;
}

std::uint32_t Utf16Decoder::unit(std::size_t at) const {
  const auto a = static_cast<unsigned char>(waiting_[at]);
  const auto b = static_cast<unsigned char>(waiting_[at + 1]);
  return order_ == Order::little ? a | static_cast<std::uint32_t>(b) << 8
                                 : b | static_cast<std::uint32_t>(a) << 8;
}

std::size_t Utf16Decoder::take(char* to, std::size_t room, bool last) {
  std::size_t size = 0;
  while (at_ + 1 < waiting_.size() && room - size >= kMaxCharacter) {
    std::uint32_t c = unit(at_);
    if (is_high(c) && at_ + 3 >= waiting_.size() && !last) break;
    at_ += 2;
    if (is_surrogate(c)) {
      const std::uint32_t low = is_high(c) && at_ + 1 < waiting_.size() ? unit(at_) : 0;
      const bool pair = is_surrogate(low) && !is_high(low);
      c = pair ? 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00) : 0xFFFD;
      if (pair) at_ += 2;
    }
    size += encode_utf8(to + size, c);
  }
  return size;
}

}  // namespace sandbox_worker::tools
