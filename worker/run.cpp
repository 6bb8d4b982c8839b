#include "worker/run.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/signal_set.hpp>
#include <chrono>

#include "worker/client/trust.hpp"
#include "worker/machine.hpp"
#include "worker/process_setup.hpp"
#include "worker/standard_streams.hpp"
#include "worker/work_item.hpp"

namespace sandbox_worker::worker {

namespace asio = boost::asio;

namespace {

/// The first signal asks for the end, the second one is the end.
asio::awaitable<void> watch_signals(asio::signal_set& signals, WorkItem& item, const Log& log) {
  const int first = co_await signals.async_wait(asio::use_awaitable);
  log.info("signal", {{"number", first}});
  item.stop(EndReason::signal, fmt::format("signal {}", first));
  const int second = co_await second_signal(signals, first, std::chrono::steady_clock::now());
  log.warn("second signal, ending at once", {{"number", second}});
  item.kill();
  log.flush();
  ::_exit(128 + second);
}

std::string text_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return error.what();
  }
}

}  // namespace

int run(const Config& config, const Environment& environment) {
  const auto refused = [](const std::string& why) {
    complain(why);
    return 2;
  };
  if (auto set_up = set_up_process(); !set_up) return refused(set_up.error());
  if (config.base_url.tls) {
    if (auto trust = find_trust(config.http.ca_file, config.http.ca_dir); !trust)
      return refused(trust.error());
  }
  auto machine = Machine::open(config, environment);
  if (!machine) return refused(machine.error());
  const Log log(config.log_format, config.log_level);
  for (const auto& warning : config.warnings) log.warn(warning);

  auto& io = (*machine)->io();
  WorkItem item(**machine, config, log);
  asio::signal_set signals(io);
  add_end_signals(signals);
  asio::co_spawn(io, watch_signals(signals, item, log), [](const std::exception_ptr&) {});
  int status = 1;
  asio::co_spawn(io, item.run(), [&](const std::exception_ptr& error, int result) {
    if (error) {
      log.error("the run failed", {{"why", text_of(error)}});
    } else {
      status = result;
    }
    io.stop();
  });
  io.run();
  // What is stuck in the kernel can't be joined; the work is done, so the process ends all the same.
  if (!item.at_rest() || !(*machine)->stop_pools()) {
    item.kill();
    (*machine)->remove_files();
    log.flush();
    ::_exit(status);
  }
  return status;
}

}  // namespace sandbox_worker::worker
