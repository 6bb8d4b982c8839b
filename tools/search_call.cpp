#include "tools/search_call.hpp"

#include <fmt/format.h>

#include <boost/asio/this_coro.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "tools/input.hpp"
#include "tools/offload.hpp"
#include "tools/prompt_thread.hpp"
#include "tools/text.hpp"
#include "tools/unattended.hpp"

namespace sandbox_worker::tools {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

/// A limit of zero is none.
Clock::time_point after(milliseconds limit) {
  return limit.count() > 0 ? Clock::now() + limit : Clock::time_point::max();
}

ToolResult no_turn(std::string_view tool, milliseconds limit) {
  return ToolResult::error(
      fmt::format("[{} has waited {} for its turn and was not run: as many searches as may run at once take "
                  "long, or hang on a file system that doesn't answer]",
                  tool, time_words(limit)));
}

ToolResult hangs(std::string_view tool, milliseconds limit) {
  return ToolResult::error(fmt::format(
      "[{} didn't stop at its time limit of {}: a file system below the path doesn't answer; name "
      "a path without it]",
      tool, time_words(limit)));
}

/// Keeps its slot to the end, so that searches that nobody waits for count as well.
asio::awaitable<ToolResult> search_on_pool(asio::any_io_executor pool,
                                           std::function<ToolResult(std::stop_token)> search,
                                           std::stop_token stop, std::optional<SearchSlots::Slot> turn) {
  const std::optional<SearchSlots::Slot> mine = std::move(turn);
  co_return co_await offload(pool, [search = std::move(search),
                                    stop = std::move(stop)](const std::stop_token&) { return search(stop); });
}

}  // namespace

asio::awaitable<ToolResult> run_search_call(std::string_view tool, nlohmann::json input,
                                            const SearchOptions& options, SearchFunction search,
                                            SearchGrace grace) {
  Input in(tool, std::move(input));
  std::string pattern = in.required_string("pattern");
  std::string path = in.optional_string("path").value_or(".");
  if (in.failed()) co_return in.error();
  const auto limit = options.limits.search_timeout;
  std::optional<SearchSlots::Slot> turn;
  if (options.slots) {
    const auto until = after(limit);
    turn = co_await options.slots->take(until);
    if (!turn && Clock::now() >= until) co_return no_turn(tool, limit);
    if (!turn) co_return ToolResult::error(fmt::format("[{} was interrupted before it began]", tool));
  }
  const AheadOfOthers ahead;  // heartbeats and events go on while the search has all processors
  auto work = [search = std::move(search), pattern = std::move(pattern), path = std::move(path)](
                  std::stop_token stop) { return search(pattern, path, std::move(stop)); };
  std::stop_source stop;
  Unattended<ToolResult> running(
      co_await asio::this_coro::executor,
      search_on_pool(options.pool, std::move(work), stop.get_token(), std::move(turn)));
  const auto end = after(limit.count() > 0 ? limit + grace.timed_out : limit);
  co_await running.wait(end);
  if (!running.ended() && Clock::now() < end) {
    stop.request_stop();
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    co_await running.wait(Clock::now() + grace.cancelled);
  }
  if (running.ended()) co_return running.take();
  stop.request_stop();
  if (Clock::now() >= end) co_return hangs(tool, limit);
  co_return ToolResult::error(
      fmt::format("[{} was interrupted before it could say what it had found]", tool));
}

}  // namespace sandbox_worker::tools
