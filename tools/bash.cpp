#include "tools/bash.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "tools/bash_report.hpp"
#include "tools/bash_session.hpp"
#include "tools/input.hpp"
#include "tools/text.hpp"

namespace sandbox_worker::tools {

namespace asio = boost::asio;
using std::chrono::milliseconds;

namespace {

/// Stands for no limit at all; more would overflow the clock.
constexpr milliseconds kForever = std::chrono::years(10);

/// 0 is no limit, for both.
milliseconds allowed(milliseconds wanted, milliseconds most) {
  const auto given = [](milliseconds limit) { return limit.count() == 0 ? kForever : limit; };
  return std::min(given(wanted), std::min(given(most), kForever));
}

}  // namespace

Bash::Bash(BashOptions options)
    : limits_(options.limits), session_(std::make_shared<BashSession>(std::move(options))) {}

Bash::~Bash() {
  kill();
}

void Bash::kill() {
  session_->abandon();
}

asio::awaitable<ToolResult> Bash::run(nlohmann::json json) {
  Input in("bash", std::move(json));
  auto command = in.optional_string("command");
  const bool restart = in.optional_bool("restart").value_or(false);
  const auto timeout = in.optional_integer("timeout_ms");
  if (timeout && *timeout <= 0) in.complain("timeout_ms must be above 0");
  if (!in.failed() && !command && !restart) in.complain("command is missing (a string is needed)");
  if (command && command->empty() && !restart) in.complain("command is empty");
  if (command && command->find('\0') != std::string::npos)
    in.complain("the command holds a NUL byte, which bash can't take; nothing was run");
  if (in.failed()) co_return in.error();

  const milliseconds wanted(timeout.value_or(limits_.default_tool_timeout.count()));
  const milliseconds limit = allowed(wanted, limits_.max_tool_timeout);
  std::string note;
  if (timeout && limit < wanted)
    note = fmt::format("[timeout_ms was cut to the most that is allowed, {}]", time_words(limit));

  // A cancelled call has work left to do, and a result to give: cancellation is asked for, never thrown.
  const bool throwing = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  ToolResult result;
  if (restart) {
    if (auto problem = co_await session_->restart())
      result = ToolResult::error("bash: " + *problem);
    else if (!command)  // or it comes with the command's
      result = ToolResult::text(
          session_->take_late_output() +
          "The shell was restarted: its processes are gone, directory and variables are as at the start.");
  }
  if (command && !result.is_error)
    result = co_await session_->run(*std::move(command), limit, std::move(note));
  co_await asio::this_coro::throw_if_cancelled(throwing);
  co_return result;
}

asio::awaitable<void> Bash::close() {
  return session_->close();
}

std::expected<void, std::string> check_bash() {
  if (::access("/bin/bash", X_OK) != 0)
    return std::unexpected("/bin/bash is missing or can't be run; the bash tool needs it in the image");
  // Bash takes a command that it can't read there for an empty one.
  if (::access("/proc/self/fd", X_OK) != 0)
    return std::unexpected("/proc is missing; the bash tool needs it mounted");
  return {};
}

}  // namespace sandbox_worker::tools
