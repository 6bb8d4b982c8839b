#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tools/literals.hpp"

namespace sandbox_worker::tools {

/// Finds the places of a text that hold one of a few byte strings, 32 bytes at a time where the processor
/// can. A few plain strings are looked for by their two rarest bytes each; others, and byte classes, by a
/// window of up to four bytes, whose possible values are looked up in tables. What passes is compared in
/// full.
class ByteFinder {
 public:
  static constexpr std::size_t npos = std::string_view::npos;

  /// `any_of` is not empty, nor is any of the strings.
  explicit ByteFinder(std::vector<ByteString> any_of);

  /// Where a string begins, at or behind `from`: the first one, by the place of what is looked for. Strings
  /// that lie in different lines are found in the order of the lines.
  std::size_t find(std::string_view text, std::size_t from) const;

 private:
  static constexpr std::size_t kMaxWindow = 4;
  static constexpr std::size_t kMaxPairs = 4;
  static constexpr std::size_t kBuckets = 8;

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
  /// A byte of a string: what it is after a bit was set, which makes both cases of a letter one.
  struct Probe {
    std::size_t offset;
    std::uint8_t set_bits;
    std::uint8_t value;
  };
  using Pair = std::array<Probe, 2>;

  bool make_pairs(const std::vector<ByteString>& any_of);
  void make_columns();

  std::size_t find_by_pairs(std::string_view text, std::size_t from) const;
  std::size_t find_by_window(std::string_view text, std::size_t from) const;

  std::size_t next_candidate(std::string_view text, std::size_t at) const;
  std::uint8_t buckets_at(const char* data) const;
  std::size_t verified_window(std::string_view text, std::size_t at, std::size_t from) const;
  bool begins_at(std::string_view text, std::size_t at) const;
#if defined(__x86_64__)
  std::size_t next_candidate_avx2(std::string_view text, std::size_t at) const;
  std::size_t next_pair_avx2(std::string_view text, std::size_t at) const;
#endif

  std::array<std::vector<Target>, kBuckets> buckets_;
  std::vector<Pair> pairs_;  // one for each target; empty: the window is used
  std::size_t reach_ = 0;    // the largest offset in pairs_
  std::size_t width_ = kMaxWindow;
  std::array<Column, kMaxWindow> columns_;
  bool vectors_;
};

}  // namespace sandbox_worker::tools
