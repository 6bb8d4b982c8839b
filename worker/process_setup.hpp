#pragma once

#include <boost/asio/signal_set.hpp>
#include <expected>
#include <string>

namespace sandbox_worker::worker {

/// What holds for the process until its end: SIGPIPE, the limit on open files, the main thread's turns. The
/// error is a sentence for the operator.
std::expected<void, std::string> set_up_process();

/// SIGTERM and SIGINT, and SIGHUP where nohup hasn't been asked to keep it away.
void add_end_signals(boost::asio::signal_set& signals);

}  // namespace sandbox_worker::worker
