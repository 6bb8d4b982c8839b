#pragma once

#include <cstddef>
#include <string>

namespace sandbox_worker::worker {

/// What one non-blocking attempt to move bytes came to.
struct IoStep {
  enum class Kind {
    done,        // `bytes` were moved
    want_read,   // try again when the socket is readable
    want_write,  // try again when the socket is writable
    end,         // the peer ended the stream in order
    closed,      // the connection was cut
    failed,      // anything else
  };
  Kind kind{};
  std::size_t bytes = 0;
  std::string reason;  // of closed and failed, as the end of a sentence
};

}  // namespace sandbox_worker::worker
