#include "tools/output_pipe.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "tools/process_table.hpp"

namespace sandbox_worker::tools {
namespace {

namespace asio = boost::asio;

/// As much as a pipe holds.
constexpr std::size_t kReadSize = 64 * 1024;

}  // namespace

std::shared_ptr<OutputPipes> OutputPipes::open(const asio::any_io_executor& executor, Sink sink) {
  std::shared_ptr<OutputPipes> pipes(new OutputPipes(std::move(sink)));
  pipes->buffer_.resize(kReadSize);
  pipes->pipes_.reserve(kOutputs);
  for (std::size_t output = 0; output < kOutputs; ++output)
    if (!pipes->open_one(executor)) return nullptr;
  return pipes;
}

bool OutputPipes::open_one(const asio::any_io_executor& executor) {
  std::array<int, 2> ends;
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return false;
  UniqueFd read_end(ends[0]);
  const UniqueFd write_end(ends[1]);
  Pipe& pipe = pipes_.emplace_back(executor);
  ::fcntl(read_end.get(), F_SETFL, O_NONBLOCK);
  pipe.name = link_of_descriptor(::getpid(), read_end.get());
  pipe.read_end.assign(read_end.get());
  static_cast<void>(read_end.release());
  return true;
}

/// None of them stays ours, which would be as many more descriptors in each lane.
std::optional<OutputPipes::WriteEnds> OutputPipes::open_write_ends() {
  WriteEnds ends;
  for (std::size_t output = 0; output < kOutputs; ++output) {
    Pipe& pipe = pipes_[output];
    const auto name = fmt::format("/proc/self/fd/{}", pipe.read_end.native_handle());
    ends[output].reset(::open(name.c_str(), O_WRONLY | O_CLOEXEC));
    if (!ends[output]) return std::nullopt;
    if (!pipe.waiting) wait(output);
  }
  return ends;
}

/// Waits and then reads, in one turn: a read that Asio has done ahead would wait in its queue while drain()
/// takes what came after it. Not on when nobody can print any more, until a next shell can.
void OutputPipes::wait(std::size_t output) {
  pipes_[output].waiting = true;
  pipes_[output].read_end.async_wait(asio::posix::stream_descriptor::wait_read,
                                     [self = shared_from_this(), output](boost::system::error_code error) {
                                       Pipe& pipe = self->pipes_[output];
                                       pipe.waiting = false;
                                       if (error || !pipe.read_end.is_open()) return;
                                       const bool more = self->take(output, kReadSize);
                                       if (more && pipe.read_end.is_open()) self->wait(output);
                                     });
}

bool OutputPipes::take(std::size_t output, std::size_t limit) {
  const ssize_t count =
      ::read(pipes_[output].read_end.native_handle(), buffer_.data(), std::min(limit, buffer_.size()));
  if (count <= 0) return count < 0;
  sink_(output, {buffer_.data(), static_cast<std::size_t>(count)});
  return true;
}

void OutputPipes::drain(OutputSet outputs) {
  for (std::size_t output = 0; output < kOutputs; ++output)
    if ((outputs >> output & 1U) != 0) drain_one(output);
}

void OutputPipes::drain_one(std::size_t output) {
  auto& read_end = pipes_[output].read_end;
  int waiting = 0;
  if (!read_end.is_open() || ::ioctl(read_end.native_handle(), FIONREAD, &waiting) != 0) return;
  for (auto left = static_cast<std::size_t>(std::max(waiting, 0)); left > 0;) {
    const std::size_t step = std::min(left, kReadSize);
    if (!take(output, step) || !read_end.is_open()) return;
    left -= step;
  }
}

void OutputPipes::close() {
  boost::system::error_code ignored;
  for (auto& pipe : pipes_) pipe.read_end.close(ignored);
}

std::optional<OutputSet> OutputPipes::held_by(pid_t pid, int private_fds) const {
  OutputSet outputs = 0;
  std::error_code failed;
  std::filesystem::directory_iterator fds(fmt::format("/proc/{}/fd", pid), failed);
  if (failed == std::errc::no_such_file_or_directory) return outputs;  // it has ended
  if (failed) return std::nullopt;
  for (; fds != std::filesystem::directory_iterator(); fds.increment(failed)) {
    const std::string& name = fds->path().native();
    int fd = 0;
    const auto digits = std::string_view(name).substr(name.rfind('/') + 1);
    std::from_chars(digits.data(), digits.data() + digits.size(), fd);
    if (fd < private_fds) outputs |= with_name(link_of_descriptor(pid, fd));
  }
  return outputs;
}

OutputSet OutputPipes::with_name(std::string_view name) const {
  OutputSet outputs = 0;
  for (std::size_t output = 0; output < kOutputs; ++output)
    if (pipes_[output].name == name) outputs |= 1U << output;
  return outputs;
}

}  // namespace sandbox_worker::tools
