#include "protocol/siphash.hpp"

#include <bit>
#include <cstddef>

namespace sandbox_worker::protocol {
namespace {

/// The four words of the algorithm's state.
struct State {
  std::uint64_t v0, v1, v2, v3;

  void mix(int rounds) {
    for (int i = 0; i < rounds; ++i) {
      v0 += v1;
      v1 = std::rotl(v1, 13) ^ v0;
      v0 = std::rotl(v0, 32);
      v2 += v3;
      v3 = std::rotl(v3, 16) ^ v2;
      v0 += v3;
      v3 = std::rotl(v3, 21) ^ v0;
      v2 += v1;
      v1 = std::rotl(v1, 17) ^ v2;
      v2 = std::rotl(v2, 32);
    }
  }
  void absorb(std::uint64_t word) {
    v3 ^= word;
    mix(2);
    v0 ^= word;
  }
  std::uint64_t folded() const { return v0 ^ v1 ^ v2 ^ v3; }
};

std::uint64_t little_endian(std::string_view bytes) {
  std::uint64_t word = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) word = word << 8U | static_cast<unsigned char>(bytes[i]);
  return word;
}

}  // namespace

Hash128 siphash(const HashKey& key, std::string_view text) {
  State state{0x736f6d6570736575U ^ key.low, 0x646f72616e646f6dU ^ key.high ^ 0xeeU,
              0x6c7967656e657261U ^ key.low, 0x7465646279746573U ^ key.high};
  const std::uint64_t length = text.size();
  for (; text.size() >= 8; text.remove_prefix(8)) state.absorb(little_endian(text.substr(0, 8)));
  state.absorb(little_endian(text) | length << 56U);
  state.v2 ^= 0xeeU;
  state.mix(4);
  Hash128 hash;
  hash.low = state.folded();
  state.v1 ^= 0xddU;
  state.mix(4);
  hash.high = state.folded();
  return hash;
}

}  // namespace sandbox_worker::protocol
