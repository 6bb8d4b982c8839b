#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "tools/environment.hpp"

namespace sandbox_worker::tools {

/// What bash says of a command that it can't parse.
struct SyntaxMistake {
  std::string text;  // ends with a newline
  int status = 0;    // bash's own
};

/// Whether a mistake in the command's syntax could cost the shell. Bash ends itself for one inside of `$(`,
/// `<(` or `>(`, and goes on with a damaged heap after one that isn't closed; all others are the command's
/// own. False for a command without these, and where all of them are plain: words, quotes, pipes.
bool may_end_shell(std::string_view command);

/// Lets another bash parse the command, with the locale of `environment`, and run nothing; takes some 2 ms.
/// Nothing where it has no mistake or can't be asked, and when the deadline has passed or the call is
/// cancelled, which must not throw.
boost::asio::awaitable<std::optional<SyntaxMistake>> find_syntax_mistake(
    std::string_view command, const Environment& environment, std::chrono::steady_clock::time_point deadline);

}  // namespace sandbox_worker::tools
