#pragma once

#include <array>
#include <string>
#include <string_view>

#include "tools/output_pipe.hpp"

namespace sandbox_worker::tools {

/// Where a shell keeps the pipes for what commands print. Bash's own copies of its descriptors lie above all
/// of these, up to 240; few commands use such numbers, but for bash's own 255.
inline constexpr std::array<int, kOutputs> kOutputFds{231, 232, 233};

/// The same, for a command that prints nowhere.
inline constexpr int kNowhereFd = 237;

/// Where a shell keeps its status pipe, which is closed in any program that takes its place.
inline constexpr int kStatusFd = 230;

/// What a fresh shell reads first: it goes into `directory`, sets OLDPWD to `old_directory` (empty: none), as
/// if it had been started so, has a history leave out lines that begin with a blank, as ours do, moves the
/// private descriptors to 230 and above, out of the agent's way, and writes a line to its status pipe. It
/// ends itself where the directory has gone meanwhile.
std::string first_shell_lines(std::string_view directory, std::string_view old_directory);

/// Whether a line is meant for a command that may define a function named `builtin`.
enum class Guard { off, on };

bool may_define_builtin(std::string_view command);

/// The command as it should lie in the memory file: bash takes it without the newlines at its end, and would
/// then find a backslash there that was to join the last line with nothing.
std::string_view without_last_continuation(std::string_view command);

/// What makes a shell run the command in the memory file, which prints to the shell's descriptor `output`,
/// and tell the end with `word`: a line but for kLineRest, which bash can be given long before. Without that
/// it is no command: bash takes the end of its input, which it meets when the worker is killed, for the end
/// of a line.
std::string run_line(std::string_view word, int output, Guard guard);

/// Completes such a line, and bash begins. It reads the comment only when it is done with the line before.
inline constexpr std::string_view kLineRest = "237\n #\n";

/// The part of such a line that tells the end, and hands over the exported variables behind it, and its rest.
/// Bash drops what is left of a line where the command made a mistake that it takes for fatal, as `a[08]=1`
/// is.
std::string end_line(std::string_view word, int output, Guard guard);

/// The bytes from its line's end on: bash has begun where fewer of them are unread.
inline constexpr int kUnreadBefore = static_cast<int>(kLineRest.size() - kLineRest.find('\n'));

/// Stands in every trace (set -x, set -v) of such a line.
inline constexpr std::string_view kTracedPart = "builtin eval ";

/// What bash says of jobs that a signal has killed while no command ran, in what it has printed itself: lines
/// without the name and line number before them.
std::string job_notices(std::string_view own_output);

/// Commands that give a fresh shell what it should export: `exports` as Shell gives them, or nothing for what
/// it was started with.
std::string restore_commands(std::string_view exports);

/// A word that bash takes for just this text.
std::string quote_for_shell(std::string_view text);

}  // namespace sandbox_worker::tools
