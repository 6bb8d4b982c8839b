#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tests/session_server/script.hpp"
#include "tests/session_server/service.hpp"

namespace session_server {

struct PlayOptions {
  std::uint16_t port = 0;
  bool verbose = false;                            // every request, and the worker's log, as they come
  std::FILE* out = stdout;                         // null: silent
  std::optional<std::filesystem::path> workdir{};  // unset: a new one, removed afterwards
};

struct PlayResult {
  std::vector<std::string> failures{};    // expectations, exit code, time
  std::vector<std::string> violations{};  // of the contract, by the worker
  std::optional<int> exit_code{};
  std::string log{};  // the worker's stdout and stderr; empty when verbose
  std::vector<RequestRecord> requests{};
  std::vector<Time> heartbeats{};
  bool ok() const { return failures.empty() && violations.empty(); }
};

/// Plays a script with a worker that is started for it, or, without a command, with one that a person starts
/// by hand. Comes back in bounded time when there is a command: the worker is ended when it doesn't end
/// itself.
PlayResult play(const Script& script, const std::vector<std::string>& command, const PlayOptions& options);

/// Reads tool calls from stdin and shows their results; the exit code of the program.
int run_shell(const std::vector<std::string>& command, const PlayOptions& options);

}  // namespace session_server
