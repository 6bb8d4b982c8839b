#include "tools/fan_out.hpp"

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <utility>

namespace sandbox_worker::tools {
namespace {

// Outlives the call: a helper may come to run long after the others have finished.
class Gate {
 public:
  explicit Gate(const std::function<void(unsigned)>& work) : work_(&work) {}

  void help(unsigned index) {
    {
      const std::scoped_lock lock(mutex_);
      if (closed_) return;
      ++running_;
    }
    run(index);
    const std::scoped_lock lock(mutex_);
    if (--running_ == 0) idle_.notify_all();
  }

  void run(unsigned index) noexcept {
    try {
      (*work_)(index);
    } catch (...) {
      const std::scoped_lock lock(mutex_);
      if (!error_) error_ = std::current_exception();
    }
  }

  void close() {
    std::unique_lock lock(mutex_);
    closed_ = true;
    idle_.wait(lock, [this] { return running_ == 0; });
    // Not kept here: a helper that is still on its way out may be the last one to have the gate.
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  const std::function<void(unsigned)>* const work_;  // valid until the gate is closed

  std::mutex mutex_;  // guards all below
  std::condition_variable idle_;
  bool closed_ = false;
  unsigned running_ = 0;
  std::exception_ptr error_;
};

std::atomic<unsigned> helpers = 0;

/// A thread that helps once.
struct Helper {
  std::shared_ptr<Gate> gate;
  unsigned index;
  cpu_set_t allowed;  // processors; none where they aren't known
};

void* help(void* argument) {
  const std::unique_ptr<Helper> helper(static_cast<Helper*>(argument));
  if (CPU_COUNT(&helper->allowed) > 0) {
    ::pthread_setaffinity_np(::pthread_self(), sizeof helper->allowed, &helper->allowed);
  }
  helper->gate->help(helper->index);
  --helpers;
  return nullptr;
}

/// The thread begins on another processor than this one, and may go anywhere from there. Without that, the
/// kernel of a virtual machine takes an idle processor for one that its host has taken away, and lets the
/// thread wait behind its caller for milliseconds. A thread of a pool couldn't be placed before it is woken.
bool start(std::unique_ptr<Helper> helper) {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  CPU_ZERO(&helper->allowed);
  const int here = ::sched_getcpu();
  if (here >= 0 &&
      ::pthread_getaffinity_np(::pthread_self(), sizeof helper->allowed, &helper->allowed) == 0) {
    cpu_set_t others = helper->allowed;
    CPU_CLR(static_cast<unsigned>(here), &others);
    if (CPU_COUNT(&others) > 0) ::pthread_attr_setaffinity_np(&attributes, sizeof others, &others);
  }
  pthread_t thread{};
  Helper* const argument = helper.release();  // help() has it from here on
  const bool started = ::pthread_create(&thread, &attributes, help, argument) == 0;
  if (!started) helper.reset(argument);
  ::pthread_attr_destroy(&attributes);
  return started;
}

}  // namespace

void fan_out(unsigned threads, const std::function<void(unsigned)>& work) {
  auto gate = std::make_shared<Gate>(work);
  for (unsigned index = 1; index < threads; ++index) {
    if (++helpers < threads && start(std::unique_ptr<Helper>(new Helper{gate, index, {}}))) continue;
    --helpers;
    break;
  }
  gate->run(0);
  gate->close();
}

}  // namespace sandbox_worker::tools
