#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tools/literals.hpp"

namespace sandbox_worker::tools {

/// Finds the places of a text that hold one of a few byte strings, many bytes at a time. Of each string a
/// window of up to four bytes, the rarest, is looked for by table; what passes is compared in full.
class ByteFinder {
 public:
  static constexpr std::size_t npos = std::string_view::npos;

  /// `any_of` is not empty, nor is any of the strings.
  explicit ByteFinder(std::vector<ByteString> any_of);

  /// Where a string begins, at or behind `from`: the first one, by the place of the windows. Strings that lie
  /// in different lines are found in the order of the lines.
  std::size_t find(std::string_view text, std::size_t from) const;

 private:
  static constexpr std::size_t kMaxWindow = 4;

  struct Target {
    ByteString bytes;
    std::size_t window;  // where its window begins
  };
  /// For each byte of the window: which buckets accept it, by the whole byte and by each half of it. Sixteen
  /// entries twice, since vectors look up in lanes.
  struct Column {
    std::array<std::uint8_t, 256> whole{};
    alignas(32) std::array<std::uint8_t, 32> low{};
    alignas(32) std::array<std::uint8_t, 32> high{};
  };

  std::size_t next_candidate(std::string_view text, std::size_t at) const;
  std::size_t next_candidate_by_byte(std::string_view text, std::size_t at) const;
#if defined(__x86_64__)
  std::size_t next_candidate_avx2(std::string_view text, std::size_t at) const;
#endif
  std::uint8_t buckets_at(const char* data) const;
  std::size_t verified(std::string_view text, std::size_t at, std::size_t from) const;

  std::size_t width_;  // bytes in a window
  std::array<Column, kMaxWindow> columns_;
  std::array<std::vector<Target>, 8> buckets_;
  bool vectors_;
};

}  // namespace sandbox_worker::tools
