#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/support/test_certificates.hpp"
#include "tools/unique_fd.hpp"

struct ssl_st;
struct ssl_ctx_st;

namespace sandbox_worker::tests {

/// The server's end of one connection, in a script's hands. Calls block for 5 s at most; each throws when the
/// client is gone or silent, which ends the script.
class Peer {
 public:
  explicit Peer(tools::UniqueFd socket);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  void start_tls(const Identity& identity);
  /// Head and body (by Content-Length) of the next request.
  std::string read_request();
  /// Up to and with the empty line.
  std::string read_head();
  void write(std::string_view bytes);
  /// Returns when the client has closed its end; what it wrote before is dropped.
  void wait_closed();
  /// Closes with a reset in place of an orderly end.
  void reset();
  /// Says that nothing more will come, and still listens.
  void end_writing();
  /// Ends the connection without TLS's own goodbye.
  void cut();

 private:
  std::size_t read_some(char* data, std::size_t size);

  tools::UniqueFd socket_;
  struct ssl_ctx_st* context_ = nullptr;
  struct ssl_st* ssl_ = nullptr;
  std::string unread_;
};

/// Listens on loopback and runs the script for each connection, each in a thread of its own.
/// Destruction cuts what is left of them, and waits.
class LoopbackServer {
 public:
  using Script = std::function<void(Peer& peer, int nth_connection)>;  // counted from 1

  enum class Family { v4, v6 };
  explicit LoopbackServer(Script script, Family family = Family::v4);
  ~LoopbackServer();
  LoopbackServer(const LoopbackServer&) = delete;
  LoopbackServer& operator=(const LoopbackServer&) = delete;

  std::uint16_t port() const { return port_; }
  int connections() const { return connections_; }
  /// `http://127.0.0.1:port` and the like.
  std::string url(std::string_view scheme = "http", std::string_view host = "127.0.0.1") const;

 private:
  void accept_all();

  Script script_;
  std::uint16_t port_ = 0;
  tools::UniqueFd listener_;
  std::atomic<int> connections_ = 0;
  std::mutex mutex_;  // for the two below
  std::vector<int> open_;
  bool stopping_ = false;
  std::vector<std::thread> scripts_;  // acceptor_'s, then the destructor's
  std::thread acceptor_;
};

/// A loopback port that nobody listens on.
std::uint16_t unused_port();

}  // namespace sandbox_worker::tests
