#include "worker/process_setup.hpp"

#include <boost/asio/use_awaitable.hpp>
#include <csignal>

#include "tools/prompt_thread.hpp"
#include "worker/file_limit.hpp"

namespace sandbox_worker::worker {
namespace {

constexpr std::chrono::milliseconds kSentTwice{200};

bool is_ignored(int signal) {
  struct sigaction action{};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

std::expected<void, std::string> set_up_process() {
  // A shell that is gone is an error of write(), not the end of the worker.
  std::signal(SIGPIPE, SIG_IGN);
  // Heartbeats and events go on while a search or a command keeps all processors busy.
  tools::wake_promptly();
  return raise_file_limit();
}

void add_end_signals(boost::asio::signal_set& signals) {
  signals.add(SIGTERM);
  signals.add(SIGINT);
  if (!is_ignored(SIGHUP)) signals.add(SIGHUP);
}

boost::asio::awaitable<int> second_signal(boost::asio::signal_set& signals, int first,
                                          std::chrono::steady_clock::time_point first_at) {
  for (;;) {
    const int number = co_await signals.async_wait(boost::asio::use_awaitable);
    if (number != first || std::chrono::steady_clock::now() > first_at + kSentTwice) co_return number;
  }
}

}  // namespace sandbox_worker::worker
