#pragma once

#include <expected>
#include <stop_token>
#include <string>

namespace sandbox_worker::worker {

enum class RepositoryCopy { made, was_there, no_source };

/// Copies the directory `source` to `<workdir>/<name>` when that isn't there: links as links, modes kept,
/// sockets, pipes and devices left out. The copy appears under its name when it is whole; asked to stop, it
/// gives an error. Blocks; for the pool.
std::expected<RepositoryCopy, std::string> copy_repository(const std::string& source,
                                                           const std::string& workdir,
                                                           const std::string& name,
                                                           const std::stop_token& stop);

}  // namespace sandbox_worker::worker
