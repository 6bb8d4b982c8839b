#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/signal_set.hpp>
#include <chrono>
#include <expected>
#include <string>

namespace sandbox_worker::worker {

/// What holds for the process until its end: SIGPIPE, the limit on open files, the main thread's turns. The
/// error is a sentence for the operator.
std::expected<void, std::string> set_up_process();

/// SIGTERM and SIGINT, and SIGHUP where nohup hasn't been asked to keep it away.
void add_end_signals(boost::asio::signal_set& signals);

/// Waits for a signal that means more than `first`, which came at `first_at`: another one, or the same later
/// than 200 ms after it. timeout(1) sends each twice at once, to the process and to its group, and
/// launchers pass on what a terminal has sent to all. Gives its number.
boost::asio::awaitable<int> second_signal(boost::asio::signal_set& signals, int first,
                                          std::chrono::steady_clock::time_point first_at);

}  // namespace sandbox_worker::worker
