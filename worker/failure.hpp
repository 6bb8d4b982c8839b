#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace sandbox_worker::worker {

/// Why a request of the service did not succeed.
struct Failure {
  bool fatal = false;   // trying again can't help: a 4xx but 408, 409, 425, 429, or x-should-retry: false
  unsigned status = 0;  // 0: no answer
  bool may_have_acted = false;                           // the server may have handled it all the same
  std::string message;                                   // one line, for the log
  std::optional<std::chrono::milliseconds> retry_after;  // the server's wish
};

}  // namespace sandbox_worker::worker
