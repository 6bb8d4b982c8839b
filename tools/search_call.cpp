#include "tools/search_call.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "tools/input.hpp"
#include "tools/offload.hpp"
#include "tools/prompt_thread.hpp"

namespace sandbox_worker::tools {

boost::asio::awaitable<ToolResult> run_search_call(std::string_view tool, nlohmann::json input,
                                                   const SearchOptions& options, SearchFunction search) {
  Input in(tool, std::move(input));
  std::string pattern = in.required_string("pattern");
  std::string path = in.optional_string("path").value_or(".");
  if (in.failed()) co_return in.error();
  auto work = [search = std::move(search), pattern = std::move(pattern), path = std::move(path)](
                  std::stop_token stop) { return search(pattern, path, std::move(stop)); };
  std::optional<SearchSlots::Slot> turn;
  if (options.slots) {
    turn = co_await options.slots->take();
    if (!turn) co_return ToolResult::error(fmt::format("[{} was interrupted before it began]", tool));
  }
  const AheadOfOthers ahead;  // heartbeats and events go on while the search has all processors
  co_return co_await offload(options.pool, std::move(work));
}

}  // namespace sandbox_worker::tools
