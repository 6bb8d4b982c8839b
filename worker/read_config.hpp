#pragma once

#include "worker/config.hpp"

namespace sandbox_worker::worker {

class Settings;

/// Puts together flags, variables and defaults; `with_session`: also what names the session and its key.
/// Throws UsageError (settings.hpp) with the one line that says what is wrong. Sends and writes nothing, but
/// reads the files that hold a key or a secret.
Config read_config(Settings& settings, bool with_session);

}  // namespace sandbox_worker::worker
