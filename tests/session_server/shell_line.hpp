#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "tests/session_server/session_state.hpp"

namespace session_server {

/// One typed line as a tool call: `bash ls -la`, `read notes.txt 1 5`, or a name with a JSON object. The
/// error is a hint for the person.
std::expected<NewCall, std::string> parse_shell_line(std::string_view line);

inline constexpr std::string_view kShellHelp =
    "  bash COMMAND             run a command; bash alone restarts the shell\n"
    "  read FILE [FIRST LAST]   read a file, or lines of it\n"
    "  write FILE TEXT          write a file (\\n in TEXT is a new line)\n"
    "  edit FILE OLD => NEW     replace a text that is there once\n"
    "  glob PATTERN [FOLDER]    find files\n"
    "  grep PATTERN [FOLDER]    find lines\n"
    "  NAME {JSON}              any tool with any input\n"
    "  cut                      cut the event stream\n"
    "  interrupt                interrupt what runs\n"
    "  exit                     end the session\n";

}  // namespace session_server
