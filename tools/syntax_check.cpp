#include "tools/syntax_check.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <re2/re2.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <csignal>
#include <memory>
#include <utility>
#include <vector>

#include "tools/pointers.hpp"
#include "tools/unique_fd.hpp"

namespace sandbox_worker::tools {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

/// Kept of what bash says: a message repeats the line that it complains of.
constexpr std::size_t kMaxText = 4096;

/// A substitution that is closed and holds no grammar, and no parenthesis in quotes, which may not be quotes:
/// `$(git log -1 | wc -l)`, `<(sort "a b" 2>/dev/null)`, `$((i + 1))`.
const RE2& plain_substitution() {
  static const RE2 pattern = [] {
    const std::string variable = R"(\$\w+|\$\{\w+\}|\$[@*#?$!])";
    const std::string word =
        fmt::format(R"re((?:{0}|[\w./:=,@%+~^*?\[\]-]|\\[^\n]|'[^'(]*'|"(?:{0}|[^"`$\\(])*")+)re", variable);
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

/// A bash that reads its commands from a file and parses them. It is gone with this.
struct Parser {
  Parser(const asio::any_io_executor& executor, int read_end) : output(executor, read_end) {}
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;
  ~Parser() {
    if (pid <= 0) return;
    ::kill(pid, SIGKILL);
    wait();
  }

  /// Its exit status; -1 where it had none.
  int wait() {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    pid = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  asio::posix::stream_descriptor output;
  pid_t pid = -1;
};

std::shared_ptr<Parser> start_parser(const asio::any_io_executor& executor, int script,
                                     const Environment& environment, std::vector<std::string> options) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return nullptr;
  const auto parser = std::make_shared<Parser>(executor, ends[0]);
  const UniqueFd write_end(ends[1]);
  options.insert(options.begin(), {"bash", "--norc", "--noprofile"});
  options.emplace_back("-n");
  std::vector<std::string> variables;
  for (const std::string& variable : environment)
    if (is_locale(variable)) variables.push_back(variable);
  const auto argv = pointers_to(options);
  const auto envp = pointers_to(variables);

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, script, 0);
  ::posix_spawn_file_actions_adddup2(&actions, write_end.get(), 1);
  ::posix_spawn_file_actions_adddup2(&actions, write_end.get(), 2);
  const int failed = ::posix_spawn(&parser->pid, "/bin/bash", &actions, nullptr, argv.data(), envp.data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed == 0) return parser;
  parser->pid = -1;
  return nullptr;
}

/// Without the warnings of a locale that isn't installed, which the shell has given once.
std::string shown(std::string text) {
  RE2::GlobalReplace(&text, R"((?m)^bash: warning: setlocale:.*\n)", "");
  if (text.size() <= kMaxText) return text;
  return text.substr(0, kMaxText) + "…\n";
}

/// Nothing when it took too long or the call was cancelled.
asio::awaitable<std::optional<SyntaxMistake>> outcome_of(std::shared_ptr<Parser> parser,
                                                         Clock::time_point deadline) {
  asio::steady_timer limit(parser->output.get_executor(), deadline);
  limit.async_wait([weak = std::weak_ptr(parser)](boost::system::error_code error) {
    boost::system::error_code ignored;
    if (const auto late = weak.lock(); late && !error) late->output.cancel(ignored);
  });
  std::string text;
  std::array<char, 4096> buffer;
  for (;;) {
    const auto [error, count] =
        co_await parser->output.async_read_some(asio::buffer(buffer), asio::as_tuple(asio::use_awaitable));
    if (error == asio::error::eof) break;
    if (error) co_return std::nullopt;
    if (text.size() <= kMaxText) text.append(buffer.data(), count);
  }
  const int status = parser->wait();
  if (status < 0) co_return std::nullopt;
  co_return SyntaxMistake{.text = shown(std::move(text)), .status = status};
}

}  // namespace

bool may_end_shell(std::string_view command) {
  if (command.contains("\\\n(")) return true;  // bash joins the lines first
  const re2::StringPiece text(command.data(), command.size());
  for (std::size_t at = 0; (at = next_substitution(command, at)) != std::string_view::npos;) {
    re2::StringPiece found;
    if (!plain_substitution().Match(text, at, text.size(), RE2::ANCHOR_START, &found, 1)) return true;
    if (RE2::PartialMatch(found.substr(1), reserved_word())) return true;
    at += found.size();
  }
  return false;
}

asio::awaitable<std::optional<SyntaxMistake>> find_syntax_mistake(std::string_view command,
                                                                  const Environment& environment,
                                                                  Clock::time_point deadline) {
  const auto executor = co_await asio::this_coro::executor;
  const UniqueFd script(::memfd_create("syntax", MFD_CLOEXEC));
  if (!script ||
      ::pwrite(script.get(), command.data(), command.size(), 0) != static_cast<ssize_t>(command.size()))
    co_return std::nullopt;
  // The shell may have been told to read things in another way; a mistake is one in all of them.
  std::optional<SyntaxMistake> first;
  for (const std::vector<std::string>& options : std::vector<std::vector<std::string>>{
           {}, {"-O", "extglob"}, {"--posix"}, {"--posix", "-O", "extglob"}}) {
    if (::lseek(script.get(), 0, SEEK_SET) != 0) co_return std::nullopt;
    auto parser = start_parser(executor, script.get(), environment, options);
    if (!parser) co_return std::nullopt;
    auto outcome = co_await outcome_of(std::move(parser), deadline);
    if (!outcome || outcome->status == 0) co_return std::nullopt;
    if (!first) first = std::move(outcome);
  }
  co_return first;
}

}  // namespace sandbox_worker::tools
