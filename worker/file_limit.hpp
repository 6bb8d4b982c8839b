#pragma once

#include <expected>
#include <string>

namespace sandbox_worker::worker {

/// Raises the soft limit on open files to what the worker may need, as far as the hard one allows. Commands
/// inherit it. The error is a sentence: even the hard limit is too low to work with.
std::expected<void, std::string> raise_file_limit();

}  // namespace sandbox_worker::worker
