#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sandbox_worker::tools {

/// "NAME=value" entries.
using Environment = std::vector<std::string>;

struct EnvironmentOptions {
  std::string ca_file;  // handed on to git, curl, Python and Node; empty: none
  Environment extra;    // last, so that they replace what is there
};

/// Whether commands must not see a variable of this name: credentials (ANTHROPIC_*) and the worker's own
/// settings (SANDBOX_WORKER_*), in any case of letters.
bool is_private_variable(std::string_view name);

/// What commands see: `own` (the process's) without private variables, plus what keeps programs from waiting
/// for a person.
Environment command_environment(const Environment& own, const EnvironmentOptions& options);

/// The value of a variable; nothing where there is none. It lies in `environment`.
std::optional<std::string_view> value_of(const Environment& environment, std::string_view name);

/// The environment of this process.
Environment process_environment();

}  // namespace sandbox_worker::tools
