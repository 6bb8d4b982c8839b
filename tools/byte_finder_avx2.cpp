// The loops of ByteFinder that need AVX2; they are only called where the processor has it.
#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <bit>

#include "tools/byte_finder.hpp"

namespace sandbox_worker::tools {
namespace {

constexpr std::size_t kStep = 32;

[[gnu::target("avx2"), gnu::always_inline]] inline __m256i load(const char* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}

[[gnu::target("avx2"), gnu::always_inline]] inline __m256i load_table(
    const std::array<std::uint8_t, 32>& table) {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(table.data()));
}

struct PairVectors {
  std::size_t first_offset;
  std::size_t second_offset;
  __m256i first_bits;
  __m256i second_bits;
  __m256i first_value;
  __m256i second_value;
};

[[gnu::target("avx2"), gnu::always_inline]] inline __m256i places_of_pair(const char* data,
                                                                          const PairVectors& pair) {
  const __m256i first = _mm256_or_si256(load(data + pair.first_offset), pair.first_bits);
  const __m256i second = _mm256_or_si256(load(data + pair.second_offset), pair.second_bits);
  return _mm256_and_si256(_mm256_cmpeq_epi8(first, pair.first_value),
                          _mm256_cmpeq_epi8(second, pair.second_value));
}

// A bit for each of 64 places.
[[gnu::target("avx2"), gnu::always_inline]] inline std::uint64_t places_of_pairs(const char* data,
                                                                                 const PairVectors* pairs,
                                                                                 std::size_t count) {
  __m256i left = _mm256_setzero_si256();
  __m256i right = _mm256_setzero_si256();
  for (std::size_t i = 0; i < count; ++i) {
    left = _mm256_or_si256(left, places_of_pair(data, pairs[i]));
    right = _mm256_or_si256(right, places_of_pair(data + kStep, pairs[i]));
  }
  const __m256i both = _mm256_or_si256(left, right);
  if (_mm256_testz_si256(both, both) != 0) return 0;
  const auto low = static_cast<unsigned>(_mm256_movemask_epi8(left));
  const auto high = static_cast<unsigned>(_mm256_movemask_epi8(right));
  return std::uint64_t{high} << 32 | low;
}

}  // namespace

// The next place that the tables accept, or the first that is too near to the end to be looked at here.
[[gnu::target("avx2")]] std::size_t ByteFinder::next_candidate_avx2(std::string_view text,
                                                                    std::size_t at) const {
  const __m256i half = _mm256_set1_epi8(15);
  __m256i low[kMaxWindow];
  __m256i high[kMaxWindow];
  for (std::size_t j = 0; j < kMaxWindow; ++j) {
    low[j] = load_table(columns_[j].low);
    high[j] = load_table(columns_[j].high);
  }
  for (const std::size_t width = width_; at + kStep + width - 1 <= text.size(); at += kStep) {
    __m256i buckets = _mm256_set1_epi8(-1);
    for (std::size_t j = 0; j < width; ++j) {
      const __m256i bytes = load(text.data() + at + j);
      const __m256i by_low = _mm256_shuffle_epi8(low[j], _mm256_and_si256(bytes, half));
      const __m256i by_high =
          _mm256_shuffle_epi8(high[j], _mm256_and_si256(_mm256_srli_epi16(bytes, 4), half));
      buckets = _mm256_and_si256(buckets, _mm256_and_si256(by_low, by_high));
    }
    const __m256i none = _mm256_cmpeq_epi8(buckets, _mm256_setzero_si256());
    for (auto some = ~static_cast<unsigned>(_mm256_movemask_epi8(none)); some != 0; some &= some - 1) {
      const auto offset = static_cast<std::size_t>(std::countr_zero(some));
      if (buckets_at(text.data() + at + offset) != 0) return at + offset;
    }
  }
  return at;
}

// The next place where a string begins, or the first that is too near to the end to be looked at here.
[[gnu::target("avx2")]] std::size_t ByteFinder::next_pair_avx2(std::string_view text, std::size_t at) const {
  PairVectors pairs[kMaxPairs];
  const std::size_t count = pairs_.size();
  for (std::size_t i = 0; i < count; ++i) {
    const auto& [first, second] = pairs_[i];
    pairs[i] = {first.offset,
                second.offset,
                _mm256_set1_epi8(static_cast<char>(first.set_bits)),
                _mm256_set1_epi8(static_cast<char>(second.set_bits)),
                _mm256_set1_epi8(static_cast<char>(first.value)),
                _mm256_set1_epi8(static_cast<char>(second.value))};
  }
  const std::size_t needed = reach_ + 2 * kStep;
  if (at + needed > text.size()) return at;
  const std::size_t last = text.size() - needed;
  while (true) {
    for (auto some = places_of_pairs(text.data() + at, pairs, count); some != 0; some &= some - 1) {
      const std::size_t place = at + static_cast<std::size_t>(std::countr_zero(some));
      if (begins_at(text, place)) return place;
    }
    if (at == last) return at + 2 * kStep;
    // The last step overlaps the one before, which costs less than going on byte by byte.
    at = std::min(at + 2 * kStep, last);
  }
}

}  // namespace sandbox_worker::tools

#endif
