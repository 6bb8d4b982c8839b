#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sandbox_worker::tools {

/// Turns UTF-16, which may come in pieces of any size, into UTF-8. What is no valid UTF-16 becomes U+FFFD;
/// half of a unit at the end is left out.
class Utf16Decoder {
 public:
  enum class Order { little, big };
  /// Bytes of the longest character in UTF-8.
  static constexpr std::size_t kMaxCharacter = 4;

  explicit Utf16Decoder(Order order) : order_(order) {}

  /// Adds what comes next, without a byte order mark. What isn't taken is kept.
  void put(std::string_view bytes);
  /// Writes as many whole characters as fit into `room` bytes; gives their size. 0: more has to be put, or,
  /// if it is the `last` that was put, nothing is left.
  std::size_t take(char* to, std::size_t room, bool last);

 private:
  std::uint32_t unit(std::size_t at) const;

  const Order order_;
  std::string waiting_;
  std::size_t at_ = 0;  // in `waiting_`
};

}  // namespace sandbox_worker::tools
