#include "tools/output_pipe.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

namespace sandbox_worker::tools {
namespace {

namespace asio = boost::asio;

/// As much as a pipe holds.
constexpr std::size_t kReadSize = 64 * 1024;

}  // namespace

std::shared_ptr<OutputPipe> OutputPipe::open(const asio::any_io_executor& executor, Sink sink) {
  std::array<int, 2> ends;
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return nullptr;
  UniqueFd read(ends[0]);
  UniqueFd write(ends[1]);
  ::fcntl(read.get(), F_SETFL, O_NONBLOCK);
  std::shared_ptr<OutputPipe> pipe(
      new OutputPipe(executor, std::move(read), std::move(write), std::move(sink)));
  pipe->wait();
  return pipe;
}

OutputPipe::OutputPipe(const asio::any_io_executor& executor, UniqueFd read, UniqueFd write, Sink sink)
    : sink_(std::move(sink)),
      read_end_(executor, read.release()),
      write_end_(std::move(write)),
      buffer_(kReadSize) {}

/// Waits and then reads, in one turn: a read that Asio has done ahead would wait in its queue while drain()
/// takes what came after it.
void OutputPipe::wait() {
  read_end_.async_wait(asio::posix::stream_descriptor::wait_read,
                       [self = shared_from_this()](boost::system::error_code error) {
                         if (error || !self->read_end_.is_open()) return;
                         self->take(kReadSize);
                         if (self->read_end_.is_open()) self->wait();
                       });
}

bool OutputPipe::take(std::size_t limit) {
  const ssize_t count = ::read(read_end_.native_handle(), buffer_.data(), std::min(limit, buffer_.size()));
  if (count <= 0) return false;
  sink_({buffer_.data(), static_cast<std::size_t>(count)});
  return true;
}

void OutputPipe::drain() {
  int waiting = 0;
  if (!read_end_.is_open() || ::ioctl(read_end_.native_handle(), FIONREAD, &waiting) != 0) return;
  for (auto left = static_cast<std::size_t>(std::max(waiting, 0)); left > 0;) {
    const std::size_t step = std::min(left, kReadSize);
    if (!take(step) || !read_end_.is_open()) return;
    left -= step;
  }
}

void OutputPipe::close() {
  boost::system::error_code ignored;
  read_end_.close(ignored);
}

}  // namespace sandbox_worker::tools
