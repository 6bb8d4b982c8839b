#include "tools/newlines.hpp"

#include <algorithm>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace sandbox_worker::tools {
namespace {

std::size_t count_by_byte(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count(text, '\n'));
}

#if defined(__x86_64__)
// Each lane counts up to 255 by subtracting the comparison's -1, then the lanes are added up.
[[gnu::target("avx2")]] std::size_t count_avx2(std::string_view text) {
  constexpr std::size_t kStep = 32;
  const __m256i newline = _mm256_set1_epi8('\n');
  __m256i total = _mm256_setzero_si256();
  std::size_t at = 0;
  while (at + kStep <= text.size()) {
    __m256i lanes = _mm256_setzero_si256();
    const std::size_t end = std::min(text.size() - kStep + 1, at + 255 * kStep);
    for (; at < end; at += kStep) {
      const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(text.data() + at));
      lanes = _mm256_sub_epi8(lanes, _mm256_cmpeq_epi8(bytes, newline));
    }
    total = _mm256_add_epi64(total, _mm256_sad_epu8(lanes, _mm256_setzero_si256()));
  }
  alignas(32) std::size_t sums[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(sums), total);
  return sums[0] + sums[1] + sums[2] + sums[3] + count_by_byte(text.substr(at));
}
#endif

}  // namespace

std::size_t count_newlines(std::string_view text) {
#if defined(__x86_64__)
  static const bool wide = __builtin_cpu_supports("avx2") != 0;
  if (wide) return count_avx2(text);
#endif
  return count_by_byte(text);
}

}  // namespace sandbox_worker::tools
