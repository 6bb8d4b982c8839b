#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <thread>

namespace sandbox_worker::worker {

/// Writes lines to a descriptor on a thread of its own: whoever reads them slowly, or not at all, holds up
/// nobody else. Lines that wait are bounded by kMaxQueuedBytes; beyond that the oldest are dropped and
/// counted. Thread-safe.
class LineWriter {
 public:
  /// A burst of debug lines fits; more would only be memory that nobody reads.
  static constexpr std::size_t kMaxQueuedBytes = 256 * 1024;

  /// `fd` is not owned. `lost_line(n)`, called on the writer's thread, gives the line that stands where n
  /// lines were dropped.
  LineWriter(int fd, std::function<std::string(std::size_t)> lost_line);
  /// Waits as flush() does; what is stuck in the kernel is left to the process's end.
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  /// `line` ends with a line break. Never waits for the reader.
  void push(std::string line);
  /// Waits until all is written, kFlushLimit at most; did it succeed?
  bool flush();

 private:
  /// A reader that lives takes what is left in this time; one that doesn't must not delay the end.
  static constexpr std::chrono::milliseconds kFlushLimit{500};

  struct State;
  const std::shared_ptr<State> state_;  // shared with the thread, which may outlive this object
  std::thread thread_;
};

}  // namespace sandbox_worker::worker
