#include "tools/byte_finder.hpp"

#include <algorithm>
#include <bit>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace sandbox_worker::tools {
namespace {

bool has_vectors() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") != 0;
#else
  return false;
#endif
}

}  // namespace

ByteFinder::ByteFinder(std::vector<ByteString> any_of) : vectors_(has_vectors()) {
  width_ = kMaxWindow;
  for (const auto& text : any_of) width_ = std::min(width_, text.size());
  for (std::size_t i = 0; i < any_of.size(); ++i) {
    const std::size_t bucket = i % buckets_.size();
    const auto bit = static_cast<std::uint8_t>(1u << bucket);
    Target target{.bytes = std::move(any_of[i]), .window = 0};
    target.window = rarest_window(target.bytes, width_);
    for (std::size_t j = 0; j < width_; ++j) {
      for (std::size_t c = 0; c < 256; ++c) {
        if (!target.bytes[target.window + j][c]) continue;
        columns_[j].whole[c] |= bit;
        columns_[j].low[c & 15] |= bit;
        columns_[j].low[16 + (c & 15)] |= bit;
        columns_[j].high[c >> 4] |= bit;
        columns_[j].high[16 + (c >> 4)] |= bit;
      }
    }
    buckets_[bucket].push_back(std::move(target));
  }
}

std::uint8_t ByteFinder::buckets_at(const char* data) const {
  std::uint8_t buckets = 0xFF;
  for (std::size_t j = 0; j < width_; ++j) buckets &= columns_[j].whole[static_cast<unsigned char>(data[j])];
  return buckets;
}

std::size_t ByteFinder::find(std::string_view text, std::size_t from) const {
  for (std::size_t at = from; (at = next_candidate(text, at)) != npos; ++at) {
    const std::size_t begin = verified(text, at, from);
    if (begin != npos) return begin;
  }
  return npos;
}

std::size_t ByteFinder::verified(std::string_view text, std::size_t at, std::size_t from) const {
  for (auto buckets = buckets_at(text.data() + at); buckets != 0;
       buckets &= static_cast<std::uint8_t>(buckets - 1)) {
    for (const Target& target : buckets_[static_cast<std::size_t>(std::countr_zero(buckets))]) {
      if (at < from + target.window || at - target.window + target.bytes.size() > text.size()) continue;
      const char* const begin = text.data() + (at - target.window);
      std::size_t i = 0;
      while (i < target.bytes.size() && target.bytes[i][static_cast<unsigned char>(begin[i])]) ++i;
      if (i == target.bytes.size()) return at - target.window;
    }
  }
  return npos;
}

std::size_t ByteFinder::next_candidate(std::string_view text, std::size_t at) const {
#if defined(__x86_64__)
  if (vectors_) return next_candidate_avx2(text, at);
#endif
  return next_candidate_by_byte(text, at);
}

std::size_t ByteFinder::next_candidate_by_byte(std::string_view text, std::size_t at) const {
  for (; at + width_ <= text.size(); ++at) {
    if (buckets_at(text.data() + at) != 0) return at;
  }
  return npos;
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] std::size_t ByteFinder::next_candidate_avx2(std::string_view text,
                                                                    std::size_t at) const {
  constexpr std::size_t kStep = 32;
  const __m256i half = _mm256_set1_epi8(15);
  __m256i low[kMaxWindow];
  __m256i high[kMaxWindow];
  for (std::size_t j = 0; j < kMaxWindow; ++j) {
    low[j] = _mm256_load_si256(reinterpret_cast<const __m256i*>(columns_[j].low.data()));
    high[j] = _mm256_load_si256(reinterpret_cast<const __m256i*>(columns_[j].high.data()));
  }
  const std::size_t width = width_;
  for (; at + kStep + width - 1 <= text.size(); at += kStep) {
    __m256i buckets = _mm256_set1_epi8(-1);
    for (std::size_t j = 0; j < width; ++j) {
      const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(text.data() + at + j));
      const __m256i by_low = _mm256_shuffle_epi8(low[j], _mm256_and_si256(bytes, half));
      const __m256i by_high =
          _mm256_shuffle_epi8(high[j], _mm256_and_si256(_mm256_srli_epi16(bytes, 4), half));
      buckets = _mm256_and_si256(buckets, _mm256_and_si256(by_low, by_high));
    }
    const auto none =
        static_cast<unsigned>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(buckets, _mm256_setzero_si256())));
    for (unsigned some = ~none; some != 0; some &= some - 1) {
      const auto offset = static_cast<std::size_t>(std::countr_zero(some));
      if (buckets_at(text.data() + at + offset) != 0) return at + offset;
    }
  }
  return next_candidate_by_byte(text, at);
}
#endif

}  // namespace sandbox_worker::tools
