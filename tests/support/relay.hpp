#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace sandbox_worker::tests {

/// A relay of bytes between clients on loopback and a server there, on a thread of its own: a network that
/// can die without a word. The destructor closes all connections.
class Relay {
 public:
  explicit Relay(std::uint16_t server_port);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  std::uint16_t port() const { return port_; }
  /// From here on nothing passes on the connections that are open, in no direction: no byte, no end, no
  /// reset. New ones work. Says how many went silent.
  std::size_t silence_open();
  /// So many have been accepted so far.
  std::size_t connections() const;
  /// New connections are accepted and go nowhere.
  void silence_new();

 private:
  struct State;
  std::unique_ptr<State> state_;
  std::uint16_t port_ = 0;
};

}  // namespace sandbox_worker::tests
