#include "tools/bash_report.hpp"

#include <fmt/format.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>

#include "tools/text.hpp"

namespace sandbox_worker::tools {
namespace {

std::string signal_words(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name != nullptr ? fmt::format("SIG{}", name) : fmt::format("signal {}", signal);
}

std::string_view cause(const CallEnding& ending) {
  return ending.by_sigkill() && ending.out_of_memory ? "; killed: out of memory" : "";
}

/// Bash itself isn't stopped, or its state would be lost: it runs what is behind the stopped program.
std::string stop_words(const CallEnding& ending) {
  const bool went_on = ending.kind == CallEnding::Kind::ended;
  const std::string stopped =
      fmt::format("what ran in the foreground was stopped{}",
                  went_on ? ", and bash went on with whatever follows it in the command" : "");
  constexpr std::string_view kUntouched = "before the command began; nothing of it was run";
  switch (ending.stop) {
    case StopReason::timeout:
      if (!ending.begun) return fmt::format("[timed out after {} {}]", time_words(ending.limit), kUntouched);
      return fmt::format("[timed out after {}: {}; the output above is what came so far]",
                         time_words(ending.limit), stopped);
    case StopReason::interrupt:
      if (!ending.begun) return fmt::format("[interrupted {}]", kUntouched);
      return fmt::format("[interrupted{}; may have taken effect]", went_on ? ": " + stopped : "");
    case StopReason::none:
      break;
  }
  return {};
}

std::string lost_words(const NextShell& next) {
  const std::string where =
      next.directory +
      (next.instead_of.empty() ? "" : fmt::format(", as {} can't be entered any more,", next.instead_of));
  if (next.exports == NextShell::Exports::lost)
    return fmt::format(
        "the next call gets a fresh shell in {}; its variables (the exported ones are too large to keep), "
        "functions and options are lost",
        where);
  return fmt::format(
      "the next call gets a fresh shell in {} with the exported variables of {}; other variables, functions "
      "and options are lost",
      where,
      next.exports == NextShell::Exports::of_last_call ? "the last completed call" : "an earlier call");
}

std::string status_words(const CallEnding& ending) {
  if (ending.status > 128 && ending.status < 128 + NSIG)
    return fmt::format("[exit status {}: {}{}]", ending.status, signal_words(ending.status - 128),
                       cause(ending));
  return ending.status != 0 ? fmt::format("[exit status {}]", ending.status) : std::string();
}

std::string death_words(const CallEnding& ending, const NextShell& next) {
  if (WIFSIGNALED(ending.status))
    return fmt::format("[the shell was ended by {}{}; {}]", signal_words(WTERMSIG(ending.status)),
                       cause(ending), lost_words(next));
  return fmt::format("[the shell ended with exit status {}; {}]", WEXITSTATUS(ending.status),
                     lost_words(next));
}

std::string stuck_words(const CallEnding& ending, const NextShell& next) {
  if (ending.stop != StopReason::none)
    return fmt::format("[the shell itself was busy or went on, so it was ended as well; {}]",
                       lost_words(next));
  return fmt::format(
      "[the shell no longer takes commands (set -n, a disabled or redefined builtin, or its private "
      "descriptors "
      "closed) and was ended; {}]",
      lost_words(next));
}

}  // namespace

bool CallEnding::by_sigkill() const noexcept {
  return (kind == Kind::ended && status == 128 + SIGKILL) ||
         (kind == Kind::died && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

bool CallEnding::is_error() const noexcept {
  return stop != StopReason::none || kind == Kind::stuck || status != 0;
}

std::string describe(const CallEnding& ending, const NextShell& next) {
  std::string text = stop_words(ending);
  const std::string end = ending.kind == CallEnding::Kind::ended  ? status_words(ending)
                          : ending.kind == CallEnding::Kind::died ? death_words(ending, next)
                                                                  : stuck_words(ending, next);
  if (!end.empty()) add_line(text, end);
  return text;
}

void add_line(std::string& text, std::string_view line) {
  if (!text.empty() && !text.ends_with('\n')) text += '\n';
  text += line;
}

}  // namespace sandbox_worker::tools
