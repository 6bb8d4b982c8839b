#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "tools/environment.hpp"

namespace sandbox_worker::tools {

/// Where a shell begins.
struct ShellPlace {
  std::string directory;
  std::string name;           // of the same, for $PWD
  std::string old_directory;  // for $OLDPWD; empty: none
};

/// The first of these directories that is there, or else the root, with the names that a bash would take from
/// `environment`. File systems are asked on the pool, as one that has died never answers: after 2 s a
/// directory counts as gone. Nothing when it is cancelled, which must not throw, or isn't done by `deadline`.
boost::asio::awaitable<std::optional<ShellPlace>> find_shell_place(
    boost::asio::any_io_executor pool, std::vector<std::string> directories, Environment environment,
    std::chrono::steady_clock::time_point deadline);

}  // namespace sandbox_worker::tools
