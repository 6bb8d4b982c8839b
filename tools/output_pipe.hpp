#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "tools/unique_fd.hpp"

namespace sandbox_worker::tools {

/// The pipe that all shells of a lane and what they start print into. It outlives a shell, so that a
/// background job can go on printing when its shell has ended. Use on the executor only.
class OutputPipe : public std::enable_shared_from_this<OutputPipe> {
 public:
  using Sink = std::function<void(std::string_view bytes)>;

  /// Null when the machine has no descriptor left.
  static std::shared_ptr<OutputPipe> open(const boost::asio::any_io_executor& executor, Sink sink);

  /// For a child; stays ours.
  int write_end() const noexcept { return write_end_.get(); }
  /// Gives what has been printed so far to the sink, and no more: a background job may print for ever.
  void drain();
  /// The sink is called no more.
  void close();

 private:
  OutputPipe(const boost::asio::any_io_executor& executor, UniqueFd read, UniqueFd write, Sink sink);
  void wait();
  bool take(std::size_t limit);

  Sink sink_;
  boost::asio::posix::stream_descriptor read_end_;
  UniqueFd write_end_;
  std::vector<char> buffer_;
};

}  // namespace sandbox_worker::tools
