#include "protocol/id_set.hpp"

#include <utility>

namespace sandbox_worker::protocol {
namespace {

constexpr std::size_t kFirstSlots = 16;
constexpr Hash128 kFree{};

/// 16 bytes a slot and at least 3/4 of them taken when the next, twice as large table is made: old and new
/// together are 64 bytes an id, the new one alone 43. Fuller tables make probing long.
bool is_full(std::size_t size, std::size_t slots) {
  return size >= slots / 4 * 3;
}

}  // namespace

Hash128 IdSet::hash(std::string_view id) const {
  auto hash = siphash(key_, id);
  if (hash == kFree) hash.low = 1;
  return hash;
}

/// Its slot, or the free one where it would be. There is always a free one.
std::size_t IdSet::find(const Hash128& hash) const {
  std::size_t slot = home(hash);
  while (slots_[slot] != kFree && slots_[slot] != hash) slot = (slot + 1) & (slots_.size() - 1);
  return slot;
}

bool IdSet::contains(std::string_view id) const {
  return size_ > 0 && slots_[find(hash(id))] != kFree;
}

bool IdSet::insert(std::string_view id) {
  const auto key = hash(id);
  if (size_ > 0 && slots_[find(key)] != kFree) return false;
  if (is_full(size_, slots_.size())) grow();
  slots_[find(key)] = key;
  ++size_;
  return true;
}

bool IdSet::erase(std::string_view id) {
  if (size_ == 0) return false;
  std::size_t hole = find(hash(id));
  if (slots_[hole] == kFree) return false;
  --size_;
  // What stands behind the hole, and would no longer be found across it, moves into it.
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t next = (hole + 1) & mask; slots_[next] != kFree; next = (next + 1) & mask) {
    const std::size_t from_home = (next - home(slots_[next])) & mask;
    const std::size_t from_hole = (next - hole) & mask;
    if (from_home < from_hole) continue;
    slots_[hole] = slots_[next];
    hole = next;
  }
  slots_[hole] = kFree;
  return true;
}

void IdSet::clear() {
  slots_ = {};
  size_ = 0;
}

void IdSet::grow() {
  std::vector<Hash128> old(slots_.empty() ? kFirstSlots : slots_.size() * 2);
  old.swap(slots_);
  for (const auto& hash : old) {
    if (hash != kFree) slots_[find(hash)] = hash;
  }
}

}  // namespace sandbox_worker::protocol
