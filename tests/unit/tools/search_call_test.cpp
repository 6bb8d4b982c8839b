#include "tools/search_call.hpp"

#include <doctest/doctest.h>
#include <sched.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <nlohmann/json.hpp>

#include "tests/support/scheduling.hpp"
#include "tests/support/search_tools.hpp"

using namespace sandbox_worker::tools;
using namespace sandbox_worker::testing;

TEST_CASE("search call: the thread that waits for a search runs before all others meanwhile") {
  SearchTools tree;
  const pid_t waiting = ::gettid();
  const auto policy = [waiting] { return ::sched_getscheduler(waiting) & ~SCHED_RESET_ON_FORK; };
  const int before = policy();
  int meanwhile = -1;
  boost::asio::io_context io;
  boost::asio::co_spawn(io,
                        run_search_call("grep", {{"pattern", "x"}}, tree.options,
                                        [&](std::string_view, std::string_view, std::stop_token) {
                                          meanwhile = policy();
                                          return ToolResult::error("nothing");
                                        }),
                        [](const std::exception_ptr& error, const ToolResult& result) {
                          CHECK(!error);
                          CHECK(SearchTools::text_of(result) == "error: nothing");
                        });
  io.run();
  CHECK(meanwhile == (may_run_ahead() ? SCHED_RR : before));
  CHECK(policy() == before);
}
