#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace session_server {

/// An HTTP proxy on loopback. Whatever host a CONNECT names, its tunnel leads to one port of loopback.
class ConnectProxy {
 public:
  /// `refusal`: the answer to every CONNECT, as `403 Forbidden`; empty: a tunnel to `target`.
  explicit ConnectProxy(std::uint16_t target, std::string refusal = {});
  ~ConnectProxy();
  ConnectProxy(const ConnectProxy&) = delete;
  ConnectProxy& operator=(const ConnectProxy&) = delete;

  std::uint16_t port() const;
  /// All that clients sent outside of tunnels: what anyone on the way to the proxy can read.
  std::string heard() const;
  int tunnels() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace session_server
