#include "tools/shell_lines.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

namespace sandbox_worker::tools {
namespace {

/// Runs the command in the memory file. The redirections belong to eval: bash keeps close-on-exec copies of
/// its own descriptors 0, 1 and 2 meanwhile, above those that they are redirected to, and puts them back
/// afterwards, whatever `exec` did to them; traces of these lines go to bash's own. No variable, loop or
/// function is used, so that `set`, `break` and `return` see none. The blank keeps the line out of a history.
/// Standard input is /dev/null, open for writing too, as bash never opens it for its background jobs: see
/// has_foreground_input.
constexpr std::string_view kCommandPart =
    " \\builtin eval \"${{-:LINENO=1:0}}$(</proc/self/fd/235)\" <&237 >&{0} 2>&{0};";

/// Tells the end, with a word that the command can't know: a builtin can write to these descriptors too. Then
/// hands over the exported variables, between two such words, which nobody waits for. Only the builtins that
/// tell something have their output there: traps print into bash's own. It needs all that the next command
/// will need: where that is spoilt (a closed descriptor, a disabled builtin, a constant LINENO) nothing is
/// told, and the call that did it is the one that hears of it. The pipes that only a later command may need
/// are tried behind the end: without them no variables come. Descriptors are named downwards, as a copy of
/// bash's own takes the lowest free one above the one named. The last argument is what the next command finds
/// in `$_`. Short, as bash reads it byte by byte, with a system call for each, and a quick next command waits
/// for that.
constexpr std::string_view kEndPart =
    "\\builtin eval \"\\builtin echo {0} $? <&236 <&235 <&{1} >&230;{2}\" \"${{-:LINENO=1:0}}\" <&";

constexpr std::string_view kExportsPart =
    "\\builtin echo {0} <&233 <&232 <&231 >&236&&\\builtin export >&236&&\\builtin echo {0} >&236";

/// The same for a command that may make a function named `builtin`, which would take the place of ours: it is
/// removed. Assigning POSIXLY_CORRECT needs no command and can hold what there was; in that mode no function
/// hides the special builtin `unset`. Afterwards the mode and the options that go with it are as before.
constexpr std::string_view kGuardedEndPart =
    "POSIXLY_CORRECT=${{BASHOPTS//:/ }}/${{POSIXLY_CORRECT+=$POSIXLY_CORRECT}}/$?;\\unset -f builtin;"
    "\\builtin eval \"case \\$POSIXLY_CORRECT in */=*) POSIXLY_CORRECT=\\${{POSIXLY_CORRECT#*/=}};"
    "POSIXLY_CORRECT=\\${{POSIXLY_CORRECT%/*}};;*) \\unset POSIXLY_CORRECT;;esac;"
    "\\builtin shopt -u expand_aliases inherit_errexit interactive_comments shift_verbose sourcepath;"
    "\\builtin shopt -s ${{POSIXLY_CORRECT%%/*}};"
    "\\builtin echo {0} ${{POSIXLY_CORRECT##*/}} <&236 <&235 <&{1} >&230;{2}\""
    " \"${{-:LINENO=1:0}}\" <&";

std::string end_part(std::string_view word, int output, Guard guard) {
  const auto exports = fmt::format(kExportsPart, word);
  return guard == Guard::on ? fmt::format(kGuardedEndPart, word, output, exports)
                            : fmt::format(kEndPart, word, output, exports);
}

/// So that no program inherits them: bash closes on execution what is copied from a descriptor that is closed
/// then, and its own copy of one that is closed for the time of an eval is such a one: at 10, as nothing else
/// is open yet.
constexpr std::string_view kMoveDescriptors =
    "\\shopt -s expand_aliases\n"
    "\\eval '\\exec 230>&10' 80>&-\n"
    "\\eval '\\exec 231>&10' 81>&-\n"
    "\\eval '\\exec 232>&10' 82>&-\n"
    "\\eval '\\exec 233>&10' 83>&-\n"
    "\\eval '\\exec 235<&10' 84<&-\n"
    "\\eval '\\exec 236>&10' 85>&-\n"
    "\\eval '\\exec 237<&10' 86<&-\n"
    "\\exec 80>&- 81>&- 82>&- 83>&- 84<&- 85>&- 86<&- 87<&-\n"
    "\\builtin echo >&230\n";

}  // namespace

std::string first_shell_lines(std::string_view directory, std::string_view old_directory) {
  return fmt::format(
      "\\builtin cd -- {} || \\builtin exit\n"
      "\\builtin unset OLDPWD\n"
      "\\builtin declare -x OLDPWD{}{}\n"
      "BASH_ARGV0=bash\n"
      "HISTCONTROL=${{HISTCONTROL-ignorespace}}\n"
      "{}",
      quote_for_shell(directory), old_directory.empty() ? "" : "=",
      old_directory.empty() ? "" : quote_for_shell(old_directory), kMoveDescriptors);
}

bool may_define_builtin(std::string_view command) {
  if (!command.contains("builtin")) return false;
  static const RE2 name(R"(\bbuiltin\b)", RE2::Latin1);
  static const RE2 definition(R"(\([ \t]*\)|\bfunction\b)", RE2::Latin1);
  const re2::StringPiece text(command.data(), command.size());
  return RE2::PartialMatch(text, name) && RE2::PartialMatch(text, definition);
}

std::string_view without_last_continuation(std::string_view command) {
  while (command.ends_with('\n')) {
    const auto text = command.substr(0, command.find_last_not_of('\n') + 1);
    const auto backslashes = text.size() - (text.find_last_not_of('\\') + 1);
    if (backslashes % 2 == 0) return command;
    command = text.substr(0, text.size() - 1);
  }
  return command;
}

std::string run_line(std::string_view word, int output, Guard guard) {
  return fmt::format(kCommandPart, output) + end_part(word, output, guard);
}

std::string end_line(std::string_view word, int output, Guard guard) {
  return " " + end_part(word, output, guard).append(kLineRest);
}

/// As in "bash: line 7: 4711 Killed                  sleep 100", in any language.
std::string job_notices(std::string_view own_output) {
  if (own_output.empty()) return {};
  static const RE2 notice(R"((?m)^.*: \S+ \d+: +(\d+ \S.*)$)", RE2::Latin1);
  std::string notices;
  re2::StringPiece rest(own_output.data(), own_output.size());
  for (std::string found; RE2::FindAndConsume(&rest, notice, &found);) notices += found + '\n';
  return notices;
}

/// Errors are left aside: some variables are constant in a fresh shell. They must not end it either, which an
/// inherited `set -e` does, and POSIX mode where a special builtin fails; `declare` isn't one. PWD is the
/// directory of the shell that ended.
std::string restore_commands(std::string_view exports) {
  return fmt::format(
      "\\command unset $(\\compgen -e) || :\n"
      "alias export='declare -x'\n"
      "\\eval {} || :\n"
      "\\unalias export\n"
      "PWD=$(\\pwd) || :\n",
      quote_for_shell(exports));
}

std::string quote_for_shell(std::string_view text) {
  std::string quoted = "'";
  for (const char byte : text) {
    if (byte == '\'')
      quoted += "'\\''";
    else
      quoted += byte;
  }
  return quoted + "'";
}

}  // namespace sandbox_worker::tools
