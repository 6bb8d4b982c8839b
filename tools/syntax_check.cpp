#include "tools/syntax_check.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <re2/re2.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <vector>

#include "tools/unique_fd.hpp"

namespace sandbox_worker::tools {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// How soon a cancelled call is noticed.
constexpr auto kLook = milliseconds(20);
/// Kept of what bash says: a message repeats the line that it complains of.
constexpr std::size_t kMaxText = 64 * 1024;

/// A substitution that is closed and holds no grammar: `$(git log -1 | wc -l)`, `<(sort "a b" 2>/dev/null)`,
/// `$((i + 1))`.
const RE2& plain_substitution() {
  static const RE2 pattern = [] {
    const std::string variable = R"(\$\w+|\$\{\w+\}|\$[@*#?$!])";
    const std::string word =
        fmt::format(R"re((?:{0}|[\w./:=,@%+~^*?\[\]-]|\\[^\n]|'[^']*'|"(?:{0}|[^"`$\\])*")+)re", variable);
    const std::string part = fmt::format(R"((?:{0}|[0-9]?(?:>>?|<|[<>]&|&>)[ \t]*{0}))", word);
    const std::string command = fmt::format(R"({0}(?:[ \t]+{0})*)", part);
    return RE2(fmt::format(R"([$<>]\([ \t]*{0}(?:[ \t]*(?:\|\|?|&&|;)[ \t]*{0})*[ \t]*\)|)"
                           R"(\$\(\([\w \t+*/%<>=&|^~?:,$-]*\)\))",
                           command),
               RE2::Latin1);
  }();
  return pattern;
}

const RE2& reserved_word() {
  static const RE2 pattern(
      R"((?:^|[ \t(;|&])(?:if|then|elif|else|fi|for|select|while|until|do|done|case|esac|in|function|time|coproc|\[\[)(?:$|[ \t);|&]))",
      RE2::Latin1);
  return pattern;
}

std::size_t next_substitution(std::string_view text, std::size_t from) {
  for (std::size_t at = from; (at = text.find('(', at)) != std::string_view::npos; ++at)
    if (at > from && std::string_view("$<>").contains(text[at - 1])) return at - 1;
  return std::string_view::npos;
}

bool is_locale(std::string_view variable) {
  return variable.starts_with("LANG=") || variable.starts_with("LC_");
}

struct Parser {
  pid_t pid = -1;
  UniqueFd output;
};

/// A bash that reads its commands from `script` and parses them.
std::optional<Parser> start_parser(int script, const Environment& environment, bool extended_patterns) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
  Parser parser{.output = UniqueFd(ends[0])};
  const UniqueFd write_end(ends[1]);
  std::vector<std::string> arguments{"bash", "--norc", "--noprofile", "-n"};
  if (extended_patterns) arguments.insert(arguments.end(), {"-O", "extglob"});
  std::vector<std::string> variables;
  for (const std::string& variable : environment)
    if (is_locale(variable)) variables.push_back(variable);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::vector<char*> envp;
  for (std::string& variable : variables) envp.push_back(variable.data());
  envp.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, script, 0);
  ::posix_spawn_file_actions_adddup2(&actions, write_end.get(), 1);
  ::posix_spawn_file_actions_adddup2(&actions, write_end.get(), 2);
  const int failed = ::posix_spawn(&parser.pid, "/bin/bash", &actions, nullptr, argv.data(), envp.data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return std::nullopt;
  return parser;
}

/// Nothing when it took too long or the call was cancelled.
std::optional<SyntaxMistake> outcome_of(Parser parser, Clock::time_point deadline,
                                        const std::stop_token& stop) {
  SyntaxMistake outcome;
  std::array<char, 4096> buffer;
  bool ended = false;
  while (!ended && Clock::now() < deadline && !stop.stop_requested()) {
    pollfd ready{.fd = parser.output.get(), .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, static_cast<int>(kLook.count())) <= 0) continue;
    const ssize_t count = ::read(parser.output.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    ended = count <= 0;
    if (!ended && outcome.text.size() < kMaxText)
      outcome.text.append(buffer.data(), static_cast<std::size_t>(count));
  }
  if (!ended) ::kill(parser.pid, SIGKILL);
  int status = 0;
  while (::waitpid(parser.pid, &status, 0) < 0 && errno == EINTR) continue;
  if (!ended || !WIFEXITED(status)) return std::nullopt;
  outcome.status = WEXITSTATUS(status);
  return outcome;
}

}  // namespace

bool may_end_shell(std::string_view command) {
  const re2::StringPiece text(command.data(), command.size());
  for (std::size_t at = 0; (at = next_substitution(command, at)) != std::string_view::npos;) {
    re2::StringPiece found;
    if (!plain_substitution().Match(text, at, text.size(), RE2::ANCHOR_START, &found, 1)) return true;
    if (RE2::PartialMatch(found.substr(1), reserved_word())) return true;
    at += found.size();
  }
  return false;
}

std::optional<SyntaxMistake> find_syntax_mistake(std::string_view command, const Environment& environment,
                                                 milliseconds limit, const std::stop_token& stop) {
  const auto deadline = Clock::now() + limit;
  const UniqueFd script(::memfd_create("syntax", MFD_CLOEXEC));
  if (!script ||
      ::pwrite(script.get(), command.data(), command.size(), 0) != static_cast<ssize_t>(command.size()))
    return std::nullopt;
  // The shell may have switched extended patterns on, which only another parse knows.
  std::optional<SyntaxMistake> outcome;
  for (const bool extended_patterns : {false, true}) {
    if (::lseek(script.get(), 0, SEEK_SET) != 0) return std::nullopt;
    auto parser = start_parser(script.get(), environment, extended_patterns);
    if (!parser) return std::nullopt;
    outcome = outcome_of(*std::move(parser), deadline, stop);
    if (!outcome || outcome->status == 0) return std::nullopt;
  }
  return outcome;
}

}  // namespace sandbox_worker::tools
