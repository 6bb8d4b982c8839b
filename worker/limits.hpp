#pragma once

#include <cstddef>

#include "protocol/siphash.hpp"

namespace sandbox_worker::worker {

/// One event of the stream or the history. Larger ones are skipped: no tool has a use for such an input, and
/// the memory is bounded by it.
inline constexpr std::size_t kMaxEventBytes = 32 * 1024 * 1024;

/// JSON that is encoded or decoded on the main thread, about a millisecond's worth; more goes to the pool.
inline constexpr std::size_t kMaxInlineBytes = 64 * 1024;

/// In [0, 1), for jitter. Main thread.
double random_fraction();

/// From the system's randomness.
protocol::HashKey random_hash_key();

}  // namespace sandbox_worker::worker
