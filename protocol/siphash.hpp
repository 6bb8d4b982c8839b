#pragma once

#include <cstdint>
#include <string_view>

namespace sandbox_worker::protocol {

/// Drawn once per process from the system's randomness, and told to nobody.
struct HashKey {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
};

struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  bool operator==(const Hash128&) const = default;
};

/// SipHash-2-4 with 128 bits: without the key, nobody can choose texts that collide.
Hash128 siphash(const HashKey& key, std::string_view text);

}  // namespace sandbox_worker::protocol
