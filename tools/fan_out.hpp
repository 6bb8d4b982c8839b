#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>

namespace sandbox_worker::tools {

/// Runs `work(0)` on the calling thread and `work(1)` … `work(threads - 1)` on `pool`, as far as its threads
/// are free: whoever has not begun when the caller's own share is done is left out, so `work(0)` alone must
/// be able to finish everything. Returns when all that began have ended; throws the first exception that one
/// of them threw. Without a pool (an empty executor) only the caller works.
void fan_out(const boost::asio::any_io_executor& pool, unsigned threads,
             const std::function<void(unsigned)>& work);

}  // namespace sandbox_worker::tools
