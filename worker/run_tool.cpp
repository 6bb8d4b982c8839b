#include "worker/run_tool.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>

#include "tools/toolset.hpp"
#include "worker/key_shape.hpp"
#include "worker/machine.hpp"
#include "worker/process_setup.hpp"
#include "worker/standard_streams.hpp"

namespace sandbox_worker::worker {

namespace asio = boost::asio;

namespace {

/// One call from its begin to the end of all that it started.
class ToolRun {
 public:
  explicit ToolRun(Machine& machine) : io_(machine.io()), toolset_(machine.tool_options()), signals_(io_) {}

  /// Throws what the tool throws.
  tools::ToolResult run(const std::string& name, nlohmann::json input) {
    add_end_signals(signals_);
    asio::co_spawn(io_, watch_signals(), [](const std::exception_ptr&) {});
    std::exception_ptr failure;
    asio::co_spawn(io_, call(name, std::move(input)),
                   asio::bind_cancellation_slot(cut_.slot(), [&](std::exception_ptr error) {
                     failure = std::move(error);
                     io_.stop();
                   }));
    io_.run();
    if (failure) std::rethrow_exception(failure);
    return std::move(result_);
  }
  /// That cut the call.
  std::optional<int> signal() const { return signal_; }

 private:
  asio::awaitable<void> call(std::string name, nlohmann::json input) {
    result_ = co_await toolset_.run(name, std::move(input));
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    co_await toolset_.close();
  }

  /// The first signal cuts the call, the second one all.
  asio::awaitable<void> watch_signals() {
    signal_ = co_await signals_.async_wait(asio::use_awaitable);
    cut_.emit(asio::cancellation_type::terminal);
    const int second = co_await second_signal(signals_, *signal_, std::chrono::steady_clock::now());
    toolset_.kill();
    ::_exit(128 + second);
  }

  asio::io_context& io_;
  tools::Toolset toolset_;
  asio::signal_set signals_;
  asio::cancellation_signal cut_;
  tools::ToolResult result_;
  std::optional<int> signal_;
};

std::string text_of(const tools::ToolResult& result) {
  std::string all;
  for (const auto& content : result.content) {
    if (const auto* text = std::get_if<tools::TextContent>(&content)) {
      all += text->text;
      if (!text->text.ends_with('\n')) all += '\n';
    } else if (const auto* image = std::get_if<tools::ImageContent>(&content)) {
      all += fmt::format("({}, {} bytes of base64)\n", image->media_type, image->base64.size());
    } else if (const auto* document = std::get_if<tools::DocumentContent>(&content)) {
      all += fmt::format("({}, {} bytes of base64)\n", document->media_type, document->base64.size());
    }
  }
  return all;
}

int failed(int status, std::string_view why) {
  complain(why);
  return status;
}

}  // namespace

int run_tool(const ToolCommand& command, const Environment& environment) {
  if (auto set_up = set_up_process(); !set_up) return failed(2, set_up.error());
  if (!tools::Toolset::has(command.name)) {
    return failed(
        2, fmt::format("{} is not a tool: bash, read, write, edit, glob or grep", shown(command.name)));
  }
  auto input = nlohmann::json::parse(command.input, nullptr, false);
  if (input.is_discarded()) return failed(2, "the tool's input is not JSON");
  std::string text;
  int status = 1;
  try {
    const auto machine = Machine::open(command.config, environment);
    if (!machine) return failed(2, machine.error());
    for (const auto& warning : command.config.warnings) complain(warning);
    ToolRun run(**machine);
    const auto result = run.run(command.name, std::move(input));
    text = text_of(result);
    status = run.signal() ? 128 + *run.signal() : result.is_error ? 1 : 0;
    if (!(*machine)->stop_pools()) {  // as in run()
      const bool printed = print(text).has_value();
      (*machine)->remove_files();
      ::_exit(printed ? status : 1);
    }
  } catch (const std::exception& error) {
    return failed(1, fmt::format("the tool failed: {}", error.what()));
  }
  // Nothing of the call is left by now, and signals end the process as usual, however long the reader takes.
  if (const auto printed = print(text); !printed) return failed(1, printed.error());
  return status;
}

}  // namespace sandbox_worker::worker
