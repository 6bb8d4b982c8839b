#include "tools/search_call.hpp"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "tools/input.hpp"
#include "tools/offload.hpp"

namespace sandbox_worker::tools {

boost::asio::awaitable<ToolResult> run_search_call(std::string_view tool, nlohmann::json input,
                                                   boost::asio::any_io_executor pool, SearchFunction search) {
  Input in(tool, std::move(input));
  std::string pattern = in.required_string("pattern");
  std::string path = in.optional_string("path").value_or(".");
  if (in.failed()) co_return in.error();
  auto work = [search = std::move(search), pattern = std::move(pattern), path = std::move(path)](
                  std::stop_token stop) { return search(pattern, path, std::move(stop)); };
  co_return co_await offload(std::move(pool), std::move(work));
}

}  // namespace sandbox_worker::tools
