#pragma once

#include <sys/types.h>

#include <cstddef>

namespace session_server {

/// What a process holds at one moment, as /proc tells.
struct Usage {
  std::size_t anonymous_bytes = 0;  // its own memory, without mapped files
  std::size_t sockets = 0;
  std::size_t other_descriptors = 0;
  std::size_t descendants = 0;

  static Usage of(pid_t pid);
};

}  // namespace session_server
