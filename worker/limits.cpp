#include "worker/limits.hpp"

#include <random>

namespace sandbox_worker::worker {

double random_fraction() {
  static std::minstd_rand engine(std::random_device{}());
  return std::uniform_real_distribution<double>(0, 1)(engine);
}

protocol::HashKey random_hash_key() {
  std::random_device device;
  const auto word = [&] { return std::uint64_t{device()} << 32U | device(); };
  const auto low = word();
  return {low, word()};
}

}  // namespace sandbox_worker::worker
