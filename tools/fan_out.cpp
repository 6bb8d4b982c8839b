#include "tools/fan_out.hpp"

#include <boost/asio/post.hpp>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>

namespace sandbox_worker::tools {
namespace {

// Outlives the call: a helper may be taken from the pool's queue long after the others have finished.
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
    if (error_) std::rethrow_exception(error_);
  }

 private:
  const std::function<void(unsigned)>* const work_;  // valid until the gate is closed

  std::mutex mutex_;  // guards all below
  std::condition_variable idle_;
  bool closed_ = false;
  unsigned running_ = 0;
  std::exception_ptr error_;
};

}  // namespace

void fan_out(const boost::asio::any_io_executor& pool, unsigned threads,
             const std::function<void(unsigned)>& work) {
  auto gate = std::make_shared<Gate>(work);
  if (pool) {
    for (unsigned index = 1; index < threads; ++index) {
      boost::asio::post(pool, [gate, index] { gate->help(index); });
    }
  }
  gate->run(0);
  gate->close();
}

}  // namespace sandbox_worker::tools
