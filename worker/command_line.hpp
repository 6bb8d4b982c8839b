#pragma once

#include <string>
#include <variant>

#include "worker/config.hpp"

namespace sandbox_worker::worker {

/// What the command line asks for instead of a run: `text` on stdout when `status` is 0; otherwise it is a
/// sentence for stderr.
struct Exit {
  int status = 0;
  std::string text;
};

/// `sandbox-worker tool NAME JSON`.
struct ToolCommand {
  Config config;  // without a session
  std::string name;
  std::string input;
};

using Command = std::variant<Config, ToolCommand, Exit>;

/// Puts together flags, variables and defaults; sends and writes nothing, but reads the files that hold a key
/// or a secret. A key among `arguments` is overwritten there: they are the process's own, which `ps` shows.
Command parse_command(int argc, char** argv, const Environment& environment);

}  // namespace sandbox_worker::worker
