#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace sandbox_worker::worker {

/// The "NAME=value" entries of an --env-file; README.md has its form. The error names the line. A name that
/// the commands must not see (ANTHROPIC_*, SANDBOX_WORKER_*) is an error too.
std::expected<std::vector<std::string>, std::string> parse_env_file(std::string_view text);

/// The same of a file, of at most 1 MiB. The error names the file as well, but never a value.
std::expected<std::vector<std::string>, std::string> read_env_file(const std::string& path);

}  // namespace sandbox_worker::worker
