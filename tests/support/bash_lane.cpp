#include "tests/support/bash_lane.hpp"

#include <doctest/doctest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>
#include <variant>

#include "tools/process_table.hpp"

namespace sandbox_worker::testing {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

tools::Environment BashLane::default_environment() {
  return {"PATH=" + std::string(std::getenv("PATH")), "HOME=/tmp", "LC_ALL=C"};
}

BashLane::BashLane(Options options)
    : spill(*tools::SpillStore::open(path(".spill"), options.spill)),
      bash(std::make_unique<tools::Bash>(
          tools::BashOptions{.executor = io.get_executor(),
                             .pool = pool.get_executor(),
                             .workdir = options.workdir.empty() ? dir.path().string() : options.workdir,
                             .environment = std::move(options.environment),
                             .limits = options.limits,
                             .private_dir = private_dir.path().string(),
                             .spill = spill.get()})) {}

tools::ToolResult BashLane::await(asio::awaitable<tools::ToolResult> call, asio::cancellation_slot slot) {
  std::optional<tools::ToolResult> result;
  asio::co_spawn(io, std::move(call),
                 asio::bind_cancellation_slot(slot, [&](std::exception_ptr thrown, tools::ToolResult value) {
                   if (thrown) std::rethrow_exception(thrown);
                   result = std::move(value);
                 }));
  const auto deadline = Clock::now() + 60s;
  io.restart();
  while (!result && Clock::now() < deadline) io.run_one_for(1s);
  REQUIRE(result);
  return *std::move(result);
}

namespace {

Answer answer_of(const tools::ToolResult& result) {
  REQUIRE(result.content.size() == 1);
  return {std::get<tools::TextContent>(result.content.front()).text, result.is_error};
}

}  // namespace

Answer BashLane::call(nlohmann::json input) {
  return answer_of(await(bash->run(std::move(input))));
}

Answer BashLane::call_cancelled_at(const std::string& file, nlohmann::json input) {
  asio::cancellation_signal cancel;
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        asio::steady_timer poll(co_await asio::this_coro::executor);
        while (!has(file)) {
          poll.expires_after(2ms);
          co_await poll.async_wait(asio::use_awaitable);
        }
        cancel.emit(asio::cancellation_type::terminal);
      },
      asio::detached);
  return answer_of(await(bash->run(std::move(input)), cancel.slot()));
}

void BashLane::close() {
  await([](tools::Bash& tool) -> asio::awaitable<tools::ToolResult> {
    co_await tool.close();
    co_return tools::ToolResult();
  }(*bash));
}

bool BashLane::until(const std::function<bool()>& done) {
  const auto deadline = Clock::now() + 10s;
  asio::steady_timer poll(io);
  while (!done()) {
    if (Clock::now() > deadline) return false;
    io.restart();
    poll.expires_after(5ms);
    bool woke = false;
    poll.async_wait([&](auto) { woke = true; });
    while (!woke) io.run_one();
  }
  return true;
}

bool BashLane::has(const std::string& name) const {
  return std::filesystem::exists(path(name));
}

pid_t BashLane::pid_in(const std::string& name) const {
  pid_t pid = 0;
  std::ifstream(path(name)) >> pid;
  return pid;
}

bool runs(pid_t pid) {
  const auto info = tools::process_info(pid);
  return info && !info->ended();
}

}  // namespace sandbox_worker::testing
