#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstdint>
#include <vector>

#include "tools/unique_fd.hpp"

namespace sandbox_worker::tests {

/// A listener on `address` (IPv4) that nobody accepts from; port 0 lets the system choose.
inline tools::UniqueFd listen_on(const char* address, std::uint16_t port, int backlog = 8) {
  tools::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  ::inet_pton(AF_INET, address, &in.sin_addr);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&in), sizeof in) != 0 ||
      ::listen(fd.get(), backlog) != 0) {
    return {};
  }
  return fd;
}

/// A port of 127.0.0.1 whose queue is full: the kernel drops further attempts, as a dead host would.
class FullListener {
 public:
  FullListener() : listener_(listen_on("127.0.0.1", 0, 0)) {
    sockaddr_in in{};
    socklen_t size = sizeof in;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&in), &size);
    port_ = ntohs(in.sin_port);
    for (int i = 0; i < 16 && !full_; ++i) {
      tools::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      ::connect(fd.get(), reinterpret_cast<sockaddr*>(&in), sizeof in);
      pollfd ready{.fd = fd.get(), .events = POLLOUT, .revents = 0};
      full_ = ::poll(&ready, 1, 50) == 0;
      clients_.push_back(std::move(fd));
    }
  }

  std::uint16_t port() const { return port_; }
  bool is_full() const { return full_; }

 private:
  tools::UniqueFd listener_;
  std::uint16_t port_ = 0;
  bool full_ = false;
  std::vector<tools::UniqueFd> clients_;
};

}  // namespace sandbox_worker::tests
