#pragma once

#include <sys/types.h>

#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/unique_fd.hpp"

namespace sandbox_worker::tools {

/// How many pipes for output a lane has: 64 lanes should do with 1024 descriptors.
inline constexpr std::size_t kOutputs = 3;

/// Some of these, a bit for each.
using OutputSet = unsigned;
inline constexpr OutputSet kAllOutputs = (1U << kOutputs) - 1;

/// The pipes that all shells of a lane and what they start print into, of which a call has one: where jobs of
/// earlier calls have another, what they print meanwhile can be told from the call's own output. They outlive
/// a shell, so that a background job can go on printing when its shell has ended. Use on the executor only.
class OutputPipes : public std::enable_shared_from_this<OutputPipes> {
 public:
  using Sink = std::function<void(std::size_t output, std::string_view bytes)>;

  /// Null when the machine has no descriptors left.
  static std::shared_ptr<OutputPipes> open(const boost::asio::any_io_executor& executor, Sink sink);

  /// Write ends for a child. Empty when the machine has no descriptors left.
  using WriteEnds = std::array<UniqueFd, kOutputs>;
  std::optional<WriteEnds> open_write_ends();
  /// Gives what has been printed so far to the sink, and no more: a background job may print for ever.
  void drain(OutputSet outputs);
  /// The sink is called no more.
  void close();

  /// Those that a process can print to, by a descriptor below `private_fds`; nothing where that can't be
  /// seen.
  std::optional<OutputSet> held_by(pid_t pid, int private_fds) const;

 private:
  struct Pipe {
    explicit Pipe(const boost::asio::any_io_executor& executor) : read_end(executor) {}

    boost::asio::posix::stream_descriptor read_end;
    std::string name;      // "pipe:[17]", as /proc has it
    bool waiting = false;  // for something to read
  };

  explicit OutputPipes(Sink sink) : sink_(std::move(sink)) {}
  OutputSet with_name(std::string_view name) const;
  bool open_one(const boost::asio::any_io_executor& executor);
  void wait(std::size_t output);
  bool take(std::size_t output, std::size_t limit);
  void drain_one(std::size_t output);

  Sink sink_;
  std::vector<Pipe> pipes_;
  std::vector<char> buffer_;
};

}  // namespace sandbox_worker::tools
