#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <chrono>

namespace sandbox_worker::worker {

using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;

inline constexpr Deadline kNoDeadline = Deadline::max();

/// A limit of zero is no limit.
inline Deadline deadline_after(std::chrono::milliseconds limit) {
  return limit.count() > 0 ? Clock::now() + limit : kNoDeadline;
}

enum class Want { read, write };

/// True once `descriptor` is ready (or in error, which the next call on it will tell), false at `deadline`.
/// Nothing of the wait is left when it returns. Throws operation_aborted when cancelled.
boost::asio::awaitable<bool> wait_ready(boost::asio::posix::stream_descriptor& descriptor, Want want,
                                        Deadline deadline);

}  // namespace sandbox_worker::worker
