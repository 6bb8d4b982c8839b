#include "worker/line_writer.hpp"

#include <pthread.h>
#include <signal.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include "worker/write_all.hpp"

namespace sandbox_worker::worker {
namespace {

/// Signals are the main thread's business, and a closed pipe is an error of write().
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

struct LineWriter::State {
  State(int to, std::function<std::string(std::size_t)> say_lost) : fd(to), lost_line(std::move(say_lost)) {}

  const int fd;
  const std::function<std::string(std::size_t)> lost_line;
  std::mutex mutex;  // guards all below
  std::condition_variable wake;
  std::condition_variable drained;
  std::deque<std::string> lines;
  std::size_t bytes = 0;  // in lines
  std::size_t lost = 0;   // since the last line was taken
  bool writing = false;
  bool stopping = false;

  bool is_drained() const { return lines.empty() && lost == 0 && !writing; }

  void drop_oldest() {
    bytes -= lines.front().size();
    lines.pop_front();
    ++lost;
  }

  /// What is being written stays with the kernel; the thread ends when that returns, if ever.
  void give_up() {
    lines.clear();
    bytes = lost = 0;
  }

  void run() {
    std::unique_lock lock(mutex);
    for (;;) {
      wake.wait(lock, [this] { return stopping || !lines.empty() || lost > 0; });
      if (lines.empty() && lost == 0) return;
      std::string next;
      if (lost > 0) {
        next = lost_line(std::exchange(lost, 0));
      } else {
        next = std::move(lines.front());
        bytes -= next.size();
        lines.pop_front();
      }
      writing = true;
      lock.unlock();
      write_all(fd, next);  // one that refuses for good loses the line: there is nobody left to tell
      lock.lock();
      writing = false;
      if (is_drained()) drained.notify_all();
    }
  }
};

LineWriter::LineWriter(int fd, std::function<std::string(std::size_t)> lost_line)
    : state_(std::make_shared<State>(fd, std::move(lost_line))) {
  const SignalsBlocked blocked;
  thread_ = std::thread([state = state_] { state->run(); });
}

LineWriter::~LineWriter() {
  const bool written = flush();
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    if (!written) state_->give_up();
  }
  state_->wake.notify_all();
  if (written) {
    thread_.join();
  } else {
    thread_.detach();
  }
}

void LineWriter::push(std::string line) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->bytes += line.size();
    state_->lines.push_back(std::move(line));
    while (state_->bytes > kMaxQueuedBytes) state_->drop_oldest();
  }
  state_->wake.notify_one();
}

bool LineWriter::flush() {
  std::unique_lock lock(state_->mutex);
  return state_->drained.wait_for(lock, kFlushLimit, [this] { return state_->is_drained(); });
}

}  // namespace sandbox_worker::worker
