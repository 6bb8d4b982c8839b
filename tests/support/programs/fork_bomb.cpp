// fork_bomb N FILE: grows to N processes and restores that number whenever one of them is killed, from any
// that is left; half of them in sessions of their own, all deaf to TERM. Writes its number to FILE when all
// are there. Ends by itself after 20 s or 50,000 forks, so that a test that fails leaves the machine in
// peace.

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace {

constexpr int kMost = 1000;
constexpr int kMaxForks = 50'000;
constexpr int kSeconds = 20;
constexpr int kPlacesATurn = 4;

struct Shared {
  std::atomic<pid_t> processes[kMost];
  std::atomic<int> forks;
};

constexpr pid_t kTaken = -1;

/// Whether the place is free, or its owner is gone; it is taken then.
bool take(std::atomic<pid_t>& place) {
  pid_t owner = place.load();
  if (owner == kTaken || (owner > 0 && kill(owner, 0) == 0)) return false;
  return place.compare_exchange_strong(owner, kTaken);
}

bool is_full(const Shared& shared, int wanted) {
  for (int i = 0; i < wanted; ++i)
    if (shared.processes[i] <= 0) return false;
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const int wanted = argc > 2 ? std::atoi(argv[1]) : 0;
  if (wanted < 1 || wanted > kMost) return 2;
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  auto& shared = *static_cast<Shared*>(memory);
  signal(SIGTERM, SIG_IGN);
  signal(SIGCHLD, SIG_IGN);
  const std::time_t end = std::time(nullptr) + kSeconds;
  const pid_t first = getpid();
  shared.processes[0] = first;
  bool told = false;
  for (int next = 0; std::time(nullptr) < end; usleep(2000)) {
    for (int looked = 0; looked < kPlacesATurn; ++looked) {
      next = (next + 1) % wanted;
      auto& place = shared.processes[next];
      if (!take(place)) continue;
      if (++shared.forks > kMaxForks) return 1;
      const pid_t child = fork();
      if (child == 0 && next % 2 == 0) setsid();
      place = child == 0 ? getpid() : child > 0 ? child : 0;
    }
    if (told || getpid() != first || !is_full(shared, wanted)) continue;
    std::FILE* file = std::fopen(argv[2], "w");
    if (file == nullptr) return 1;
    std::fprintf(file, "%d\n", static_cast<int>(first));
    std::fclose(file);
    told = true;
  }
  return 0;
}
