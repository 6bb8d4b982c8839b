#include "tools/byte_finder.hpp"

#include <algorithm>
#include <bit>
#include <optional>
#include <utility>

namespace sandbox_worker::tools {
namespace {

bool has_vectors() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") != 0;
#else
  return false;
#endif
}

bool matches_at(const ByteString& string, const char* text) {
  for (std::size_t i = 0; i < string.size(); ++i) {
    if (!string[i][static_cast<unsigned char>(text[i])]) return false;
  }
  return true;
}

// The bits to set and the value to expect, if the set is one byte or both cases of a letter.
std::optional<std::pair<std::uint8_t, std::uint8_t>> as_probe(const ByteSet& set) {
  std::size_t c = 0;
  while (c < 256 && !set[c]) ++c;
  if (set.count() == 1) return std::pair<std::uint8_t, std::uint8_t>(0, c);
  if (set.count() == 2 && c < 0xE0 && (c & 0x20) == 0 && set[c | 0x20])
    return std::pair<std::uint8_t, std::uint8_t>(0x20, c | 0x20);
  return std::nullopt;
}

}  // namespace

ByteFinder::ByteFinder(std::vector<ByteString> any_of) : vectors_(has_vectors()) {
  const bool pairs = vectors_ && make_pairs(any_of);
  for (const auto& text : any_of) width_ = std::min(width_, text.size());
  for (std::size_t i = 0; i < any_of.size(); ++i) {
    const std::size_t window = rarest_window(any_of[i], width_);
    buckets_[i % kBuckets].push_back({.bytes = std::move(any_of[i]), .window = window});
  }
  if (!pairs) make_columns();
}

bool ByteFinder::make_pairs(const std::vector<ByteString>& any_of) {
  if (any_of.size() > kMaxPairs) return false;
  for (const auto& string : any_of) {
    std::vector<std::pair<double, Probe>> probes;
    for (std::size_t i = 0; i < string.size(); ++i) {
      if (const auto probe = as_probe(string[i])) {
        probes.push_back(
            {share_of(string[i]), {.offset = i, .set_bits = probe->first, .value = probe->second}});
      }
    }
    if (probes.size() < 2) return pairs_.clear(), false;
    std::ranges::sort(probes, {}, [](const auto& each) { return std::pair(each.first, each.second.offset); });
    pairs_.push_back({probes[0].second, probes[1].second});
    reach_ = std::max({reach_, probes[0].second.offset, probes[1].second.offset});
  }
  return true;
}

void ByteFinder::make_columns() {
  for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
    const auto bit = static_cast<std::uint8_t>(1u << bucket);
    for (const Target& target : buckets_[bucket]) {
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
    }
  }
}

std::size_t ByteFinder::find(std::string_view text, std::size_t from) const {
  return pairs_.empty() ? find_by_window(text, from) : find_by_pairs(text, from);
}

std::size_t ByteFinder::find_by_window(std::string_view text, std::size_t from) const {
  for (std::size_t at = from; (at = next_candidate(text, at)) != npos; ++at) {
    const std::size_t begin = verified_window(text, at, from);
    if (begin != npos) return begin;
  }
  return npos;
}

std::uint8_t ByteFinder::buckets_at(const char* data) const {
  std::uint8_t buckets = 0xFF;
  for (std::size_t j = 0; j < width_; ++j) buckets &= columns_[j].whole[static_cast<unsigned char>(data[j])];
  return buckets;
}

std::size_t ByteFinder::verified_window(std::string_view text, std::size_t at, std::size_t from) const {
  for (unsigned buckets = buckets_at(text.data() + at); buckets != 0; buckets &= buckets - 1) {
    for (const Target& target : buckets_[static_cast<std::size_t>(std::countr_zero(buckets))]) {
      if (at < from + target.window || at - target.window + target.bytes.size() > text.size()) continue;
      if (matches_at(target.bytes, text.data() + (at - target.window))) return at - target.window;
    }
  }
  return npos;
}

std::size_t ByteFinder::next_candidate(std::string_view text, std::size_t at) const {
#if defined(__x86_64__)
  if (vectors_) at = next_candidate_avx2(text, at);
#endif
  for (; at + width_ <= text.size(); ++at) {
    if (buckets_at(text.data() + at) != 0) return at;
  }
  return npos;
}

bool ByteFinder::begins_at(std::string_view text, std::size_t at) const {
  for (const auto& bucket : buckets_) {
    for (const Target& target : bucket) {
      if (target.bytes.size() <= text.size() - at && matches_at(target.bytes, text.data() + at)) return true;
    }
  }
  return false;
}

std::size_t ByteFinder::find_by_pairs(std::string_view text, std::size_t from) const {
  std::size_t at = from;
#if defined(__x86_64__)
  at = next_pair_avx2(text, at);
#endif
  for (; at < text.size(); ++at) {
    if (begins_at(text, at)) return at;
  }
  return npos;
}

}  // namespace sandbox_worker::tools
