#include "worker/limits.hpp"

#include <random>

namespace sandbox_worker::worker {

double random_fraction() {
  static std::minstd_rand engine(std::random_device{}());
  return std::uniform_real_distribution<double>(0, 1)(engine);
}

}  // namespace sandbox_worker::worker
