#include "worker/standard_streams.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "worker/line_writer.hpp"
#include "worker/write_all.hpp"

namespace sandbox_worker::worker {

void open_standard_streams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free number, as those below are open by now.
    if (::open("/dev/null", O_RDWR) != fd) std::abort();
  }
}

std::expected<void, std::string> print(std::string_view text) {
  std::signal(SIGPIPE, SIG_IGN);
  const int error = write_all(STDOUT_FILENO, text);
  if (error == 0 || error == EPIPE) return {};
  return std::unexpected(fmt::format("stdout can't be written: {}", std::strerror(error)));
}

void complain(std::string_view text) {
  // On its own thread: a write to a pipe that is full would not come back.
  LineWriter writer(STDERR_FILENO, [](std::size_t) { return std::string(); });
  writer.push(fmt::format("sandbox-worker: {}\n", text));
}

}  // namespace sandbox_worker::worker
