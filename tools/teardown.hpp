#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>

#include "tools/descendants.hpp"

namespace sandbox_worker::tools {

class ControlGroup;

/// Ends everything that a lane has started, its shell too: TERM, and KILL 300 ms later; at most about a
/// second, or as long as three looks take on a machine that is so busy. Looks are taken on the pool. `group`
/// may be null. Can't be cancelled: the caller must have reset its cancellation state.
boost::asio::awaitable<void> end_processes(boost::asio::any_io_executor pool, ProcessMarks marks,
                                           std::shared_ptr<const ControlGroup> group);

}  // namespace sandbox_worker::tools
