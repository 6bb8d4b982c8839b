#include "tests/support/loopback_server.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "worker/client/tls_socket_bio.hpp"

namespace sandbox_worker::tests {

namespace {

tools::UniqueFd listen_on_loopback(bool v6, std::uint16_t& port) {
  tools::UniqueFd fd(::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage storage{};
  socklen_t size = 0;
  if (v6) {
    auto& in = reinterpret_cast<sockaddr_in6&>(storage);
    in.sin6_family = AF_INET6;
    in.sin6_addr = in6addr_loopback;
    size = sizeof in;
  } else {
    auto& in = reinterpret_cast<sockaddr_in&>(storage);
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    size = sizeof in;
  }
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (::bind(fd.get(), address, size) != 0 || ::listen(fd.get(), 16) != 0 ||
      ::getsockname(fd.get(), address, &size) != 0) {
    throw std::runtime_error("no loopback listener");
  }
  port = ntohs(v6 ? reinterpret_cast<sockaddr_in6&>(storage).sin6_port
                  : reinterpret_cast<sockaddr_in&>(storage).sin_port);
  return fd;
}

std::size_t body_length(const std::string& head) {
  constexpr std::string_view kName = "Content-Length: ";
  const auto at = head.find(kName);
  return at == head.npos ? 0 : std::strtoul(head.c_str() + at + kName.size(), nullptr, 10);
}

}  // namespace

Peer::Peer(tools::UniqueFd socket) : socket_(std::move(socket)) {
  const timeval limit{.tv_sec = 5, .tv_usec = 0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  const int on = 1;
  ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Peer::~Peer() {
  if (ssl_) SSL_shutdown(ssl_);
  SSL_free(ssl_);
  SSL_CTX_free(context_);
}

void Peer::start_tls(const Identity& identity) {
  context_ = SSL_CTX_new(TLS_server_method());
  SSL_CTX_use_certificate(context_, identity.certificate.get());
  SSL_CTX_use_PrivateKey(context_, identity.key.get());
  ssl_ = SSL_new(context_);
  // Its own socket BIO would raise SIGPIPE when a client leaves early.
  auto* bio = worker::make_socket_bio(socket_.get());
  SSL_set_bio(ssl_, bio, bio);
  if (SSL_accept(ssl_) != 1) throw std::runtime_error("no handshake");
}

std::size_t Peer::read_some(char* data, std::size_t size) {
  if (ssl_) {
    const int count = SSL_read(ssl_, data, static_cast<int>(size));
    return count > 0 ? static_cast<std::size_t>(count) : 0;
  }
  const auto count = ::recv(socket_.get(), data, size, 0);
  return count > 0 ? static_cast<std::size_t>(count) : 0;
}

std::string Peer::read_head() {
  char chunk[4096];
  std::size_t end = 0;
  while ((end = unread_.find("\r\n\r\n")) == unread_.npos) {
    const std::size_t count = read_some(chunk, sizeof chunk);
    if (count == 0) throw std::runtime_error("the client is gone");
    unread_.append(chunk, count);
  }
  std::string head = unread_.substr(0, end + 4);
  unread_.erase(0, end + 4);
  return head;
}

std::string Peer::read_request() {
  std::string request = read_head();
  const std::size_t length = body_length(request);
  char chunk[65536];
  while (unread_.size() < length) {
    const std::size_t count = read_some(chunk, sizeof chunk);
    if (count == 0) throw std::runtime_error("the client is gone");
    unread_.append(chunk, count);
  }
  request += unread_.substr(0, length);
  unread_.erase(0, length);
  return request;
}

void Peer::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto count = ssl_ ? SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()))
                            : ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) throw std::runtime_error("the client is gone");
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

void Peer::wait_closed() {
  char chunk[4096];
  while (read_some(chunk, sizeof chunk) > 0) {
  }
}

void Peer::reset() {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void Peer::end_writing() {
  ::shutdown(socket_.get(), SHUT_WR);
}

void Peer::cut() {
  ::shutdown(socket_.get(), SHUT_RDWR);
}

LoopbackServer::LoopbackServer(Script script, Family family)
    : script_(std::move(script)), listener_(listen_on_loopback(family == Family::v6, port_)) {
  acceptor_ = std::thread([this] { accept_all(); });
}

LoopbackServer::~LoopbackServer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  ::shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  for (auto& script : scripts_) script.join();
}

void LoopbackServer::accept_all() {
  for (;;) {
    tools::UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket) return;
    const int fd = socket.get();
    const int nth = ++connections_;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      open_.push_back(fd);
    }
    scripts_.emplace_back([this, nth, fd, owned = std::move(socket)]() mutable {
      {
        // The peer's descriptor is forgotten before it is closed, so that its number can't be another's.
        Peer peer(std::move(owned));
        try {
          script_(peer, nth);
        } catch (const std::exception&) {
          // A client that went away ends its script, nothing else; what it got is for the test to check.
        }
        const std::lock_guard lock(mutex_);
        std::erase(open_, fd);
      }
    });
  }
}

std::string LoopbackServer::url(std::string_view scheme, std::string_view host) const {
  return fmt::format("{}://{}:{}", scheme, host, port_);
}

std::uint16_t unused_port() {
  std::uint16_t port = 0;
  listen_on_loopback(false, port);
  return port;
}

}  // namespace sandbox_worker::tests
