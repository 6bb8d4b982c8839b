#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <exception>

#include "tests/session_server/play.hpp"

namespace {

/// Everything after "--" is the worker's command; the flags before it are ours.
std::vector<std::string> take_command(std::vector<std::string>& arguments) {
  const auto mark = std::ranges::find(arguments, "--");
  if (mark == arguments.end()) return {};
  std::vector<std::string> command(mark + 1, arguments.end());
  arguments.erase(mark, arguments.end());
  return command;
}

/// Ctrl-C reaches the worker itself; a request to end is passed on to it, and waited for on a thread.
void leave_end_to_worker() {
  ::signal(SIGINT, SIG_IGN);
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &term, nullptr);
}

constexpr const char* kAbout =
    R"(A stand-in for the service that a sandbox worker talks to, strict about its contract.

  test-session play tests/sessions/hello.json -- build/dev/worker/sandbox-worker
      plays a script with a worker that it starts as an orchestrator would
  test-session play tests/sessions/hello.json
      prints the variables to start a worker by hand
  test-session shell -- build/dev/worker/sandbox-worker
      type tool calls and see their results: "bash ls", "read notes.txt", "help"

Exit code: 0 all was as expected; 1 an expectation failed, the worker broke the contract, or ended otherwise than it
should; 2 wrong usage, or a script that can't be read. tests/session_server/README.md describes scripts.)";

}  // namespace

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  std::vector<std::string> arguments(argv + 1, argv + argc);
  const std::vector<std::string> command = take_command(arguments);
  if (!command.empty()) leave_end_to_worker();
  session_server::PlayOptions options;
  std::string script;
  std::string workdir;

  CLI::App app(kAbout, "test-session");
  app.require_subcommand(1);
  bool quiet = false;
  app.add_option("--port", options.port, "Port on 127.0.0.1 (default: a free one)");
  app.add_option("--workdir", workdir, "The worker's folder (default: a new one, removed at the end)");
  app.add_flag("--verbose", options.verbose, "Show every request, and the worker's log as it comes");
  app.add_flag("--quiet", quiet, "Show nothing; the exit code tells");
  app.fallthrough();
  CLI::App* play = app.add_subcommand("play", "Play a script: play SCRIPT [-- COMMAND...]");
  play->add_option("script", script, "A file as in tests/sessions")->required();
  CLI::App* shell = app.add_subcommand("shell", "Type tool calls: shell -- COMMAND...");
  try {
    std::ranges::reverse(arguments);  // as CLI11 takes them
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (!workdir.empty()) options.workdir = workdir;
  if (quiet) options.out = nullptr;
  try {
    if (shell->parsed()) {
      if (command.empty()) {
        fmt::print(stderr, "test-session: shell needs a worker: test-session shell -- COMMAND...\n");
        return 2;
      }
      return session_server::run_shell(command, options);
    }
    return session_server::play(session_server::Script::load(script), command, options).ok() ? 0 : 1;
  } catch (const session_server::ScriptError& error) {
    fmt::print(stderr, "test-session: {}\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "test-session: {}\n", error.what());
    return 1;
  }
}
