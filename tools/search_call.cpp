#include "tools/search_call.hpp"

#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "tools/input.hpp"
#include "tools/offload.hpp"
#include "tools/prompt_thread.hpp"

namespace sandbox_worker::tools {
namespace {

namespace asio = boost::asio;

/// Shared by the call and its search, of which either may end first. On the executor, but for the token.
struct Running {
  explicit Running(const asio::any_io_executor& executor)
      : over(executor, asio::steady_timer::time_point::max()) {}

  bool ended() const { return result || error; }

  std::stop_source stop;
  asio::steady_timer over;  // cancelled when the search has ended
  std::optional<ToolResult> result;
  std::exception_ptr error;
};

/// Keeps its slot to the end, so that searches that nobody waits for count as well.
asio::awaitable<void> search_on_pool(std::shared_ptr<Running> running, asio::any_io_executor pool,
                                     std::function<ToolResult(std::stop_token)> search,
                                     std::optional<SearchSlots::Slot> turn) {
  const AheadOfOthers ahead;  // heartbeats and events go on while the search has all processors
  try {
    running->result = co_await offload(pool, [search = std::move(search), token = running->stop.get_token()](
                                                 const std::stop_token&) { return search(token); });
  } catch (...) {
    running->error = std::current_exception();
  }
  running->over.cancel();
}

/// Until the search has ended, the time is over or the call is cancelled.
asio::awaitable<void> wait_for(Running& running) {
  if (!running.ended()) co_await running.over.async_wait(asio::as_tuple(asio::use_awaitable));
}

}  // namespace

asio::awaitable<ToolResult> run_search_call(std::string_view tool, nlohmann::json input,
                                            const SearchOptions& options, SearchFunction search,
                                            std::chrono::milliseconds grace) {
  Input in(tool, std::move(input));
  std::string pattern = in.required_string("pattern");
  std::string path = in.optional_string("path").value_or(".");
  if (in.failed()) co_return in.error();
  std::optional<SearchSlots::Slot> turn;
  if (options.slots) {
    turn = co_await options.slots->take();
    if (!turn) co_return ToolResult::error(fmt::format("[{} was interrupted before it began]", tool));
  }
  const auto executor = co_await asio::this_coro::executor;
  const auto running = std::make_shared<Running>(executor);
  auto work = [search = std::move(search), pattern = std::move(pattern), path = std::move(path)](
                  std::stop_token stop) { return search(pattern, path, std::move(stop)); };
  asio::co_spawn(executor, search_on_pool(running, options.pool, std::move(work), std::move(turn)),
                 asio::detached);
  co_await wait_for(*running);
  if (!running->ended()) {
    running->stop.request_stop();
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    running->over.expires_after(grace);
    co_await wait_for(*running);
  }
  if (running->error) std::rethrow_exception(running->error);
  if (running->result) co_return *std::move(running->result);
  co_return ToolResult::error(
      fmt::format("[{} was interrupted before it could say what it had found]", tool));
}

}  // namespace sandbox_worker::tools
