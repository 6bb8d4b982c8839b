#include "worker/run.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/prompt_thread.hpp"
#include "worker/machine.hpp"
#include "worker/work_item.hpp"

namespace sandbox_worker::worker {

namespace asio = boost::asio;

namespace {

/// The first signal asks for the end, the second one is the end.
asio::awaitable<void> watch_signals(asio::signal_set& signals, WorkItem& item, const Log& log) {
  const int first = co_await signals.async_wait(asio::use_awaitable);
  log.info("signal", {{"number", first}});
  item.stop(EndReason::signal, fmt::format("signal {}", first));
  const int second = co_await signals.async_wait(asio::use_awaitable);
  log.warn("second signal, ending at once", {{"number", second}});
  item.kill();
  log.flush();
  ::_exit(128 + second);
}

/// nohup's choice is kept.
bool is_ignored(int signal) {
  struct sigaction action{};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

void set_up_process() {
  // A shell that is gone is an error of write(), not the end of the worker.
  std::signal(SIGPIPE, SIG_IGN);
  // Heartbeats and events go on while a search or a command keeps all processors busy.
  tools::wake_promptly();
}

int complain(const std::string& text) {
  fmt::print(stderr, "sandbox-worker: {}\n", text);
  return 2;
}

void print_result(const tools::ToolResult& result) {
  for (const auto& content : result.content) {
    if (const auto* text = std::get_if<tools::TextContent>(&content)) {
      fmt::print("{}{}", text->text, text->text.ends_with('\n') ? "" : "\n");
    } else if (const auto* image = std::get_if<tools::ImageContent>(&content)) {
      fmt::print("({}, {} bytes of base64)\n", image->media_type, image->base64.size());
    } else if (const auto* document = std::get_if<tools::DocumentContent>(&content)) {
      fmt::print("({}, {} bytes of base64)\n", document->media_type, document->base64.size());
    }
  }
}

}  // namespace

int run(const Config& config, const Environment& environment) {
  set_up_process();
  auto machine = Machine::open(config, environment);
  if (!machine) return complain(machine.error());
  const Log log(config.log_format, config.log_level);
  for (const auto& warning : config.warnings) log.warn(warning);

  auto& io = (*machine)->io();
  WorkItem item(**machine, config, log);
  asio::signal_set signals(io, SIGTERM, SIGINT);
  if (!is_ignored(SIGHUP)) signals.add(SIGHUP);
  asio::co_spawn(io, watch_signals(signals, item, log), [](std::exception_ptr) {});
  int status = 1;
  asio::co_spawn(io, item.run(), [&](std::exception_ptr error, int result) {
    if (error) std::rethrow_exception(error);
    status = result;
    io.stop();
  });
  io.run();
  // What is stuck in the kernel can't be joined; the work is done, so the process ends all the same.
  if (!item.at_rest()) {
    item.kill();
    (*machine)->remove_files();
    log.flush();
    ::_exit(status);
  }
  return status;
}

int run_tool(const ToolCommand& command, const Environment& environment) {
  set_up_process();
  if (!tools::Toolset::has(command.name)) {
    return complain(fmt::format("'{}' is not a tool: bash, read, write, edit, glob or grep", command.name));
  }
  auto input = nlohmann::json::parse(command.input, nullptr, false);
  if (input.is_discarded()) return complain("the tool's input is not JSON");
  auto machine = Machine::open(command.config, environment);
  if (!machine) return complain(machine.error());
  const auto output = fmt::format("output-{}", ::getpid());
  if (auto opened = (*machine)->open_output(output); !opened) return complain(opened.error());
  auto& io = (*machine)->io();
  tools::Toolset toolset((*machine)->tool_options());
  int status = 1;
  const auto call = [&]() -> asio::awaitable<void> {
    const auto result = co_await toolset.run(command.name, std::move(input));
    print_result(result);
    status = result.is_error ? 1 : 0;
    co_await toolset.close();
  };
  asio::co_spawn(io, call(), [&](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
    io.stop();
  });
  io.run();
  return status;
}

}  // namespace sandbox_worker::worker
