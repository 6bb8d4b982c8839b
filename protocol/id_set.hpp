#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "protocol/siphash.hpp"

namespace sandbox_worker::protocol {

/// A set of ids that costs at most 64 bytes an id, also while it grows, however long the ids are: it keeps
/// keyed hashes of 128 bits in place of them. That two ids have one hash is a matter of chance that nobody
/// can help along: for n ids about n^2 / 2^129.
class IdSet {
 public:
  explicit IdSet(HashKey key) : key_(key) {}

  bool contains(std::string_view id) const;
  /// False when it was there.
  bool insert(std::string_view id);
  /// False when it wasn't there.
  bool erase(std::string_view id);
  void clear();
  std::size_t size() const { return size_; }
  /// Memory beside the object itself.
  std::size_t bytes() const { return slots_.capacity() * sizeof(Hash128); }

 private:
  Hash128 hash(std::string_view id) const;
  std::size_t home(const Hash128& hash) const { return hash.low & (slots_.size() - 1); }
  std::size_t find(const Hash128& hash) const;
  void grow();

  const HashKey key_;
  std::vector<Hash128> slots_;  // a power of two, probed one after another; all zero: free
  std::size_t size_ = 0;
};

}  // namespace sandbox_worker::protocol
