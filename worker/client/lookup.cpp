#include "worker/client/lookup.hpp"

#include <netinet/in.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>

namespace sandbox_worker::worker {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

/// How long the answer of the other family is waited for (RFC 8305 section 3): a server that never answers
/// AAAA must not delay each connection.
constexpr auto kOtherFamilyGrace = 50ms;
/// c-ares waits 5 s by default, which is half of our whole connect limit for one lost packet.
constexpr int kQueryTimeoutMs = 1500;
constexpr int kTries = 4;

asio::ip::address to_address(const ares_addrinfo_node& node) {
  if (node.ai_family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, node.ai_addr, sizeof in);
    asio::ip::address_v6::bytes_type bytes;
    std::memcpy(bytes.data(), &in.sin6_addr, bytes.size());
    return asio::ip::address_v6(bytes, in.sin6_scope_id);
  }
  sockaddr_in in{};
  std::memcpy(&in, node.ai_addr, sizeof in);
  return asio::ip::address_v4(ntohl(in.sin_addr.s_addr));
}

}  // namespace

/// c-ares owns and closes the descriptor; it says so before it does, which is when this is destroyed.
struct Lookup::Watch {
  Watch(const asio::any_io_executor& executor, ares_socket_t fd, std::uint64_t number)
      : descriptor(executor, fd), id(number) {}
  ~Watch() { descriptor.release(); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  asio::posix::stream_descriptor descriptor;
  std::uint64_t id;
  bool wanted[2] = {};  // by Want
  bool waiting[2] = {};
};

Lookup::Lookup(const asio::any_io_executor& executor, const char* sources, const std::string& servers)
    : executor_(executor), wake_(executor) {
  static const int initialised = ares_library_init(ARES_LIB_INIT_ALL);
  (void)initialised;
  ares_options options{};
  options.timeout = kQueryTimeoutMs;
  options.tries = kTries;
  std::string lookups = sources;
  options.lookups = lookups.data();
  options.sock_state_cb = &Lookup::on_socket_state;
  options.sock_state_cb_data = this;
  const int given = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;
  if (ares_init_options(&channel_, &options, given) != ARES_SUCCESS) channel_ = nullptr;
  if (channel_ && !servers.empty()) ares_set_servers_ports_csv(channel_, servers.c_str());
}

Lookup::~Lookup() {
  if (channel_) ares_destroy(channel_);
}

void Lookup::ask(const std::string& host, int family) {
  if (!channel_) {
    failures.push_back(ARES_ENOMEM);
    return;
  }
  ares_addrinfo_hints hints{};
  hints.ai_family = family;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = ARES_AI_NOSORT;
  ++pending_;
  ares_getaddrinfo(channel_, host.c_str(), nullptr, &hints, &Lookup::on_answer, this);
}

asio::awaitable<void> Lookup::finish(Deadline deadline) {
  while (pending_ > 0) {
    const Deadline end = std::min(deadline, grace_);
    timeval left{};
    Deadline next = end;
    if (ares_timeout(channel_, nullptr, &left)) {
      next = std::min(
          end, Clock::now() + std::chrono::seconds(left.tv_sec) + std::chrono::microseconds(left.tv_usec));
    }
    wake_.expires_at(next);
    co_await wake_.async_wait(asio::as_tuple(asio::use_awaitable));
    if (Clock::now() >= std::min(deadline, grace_)) co_return;
    ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  }
}

void Lookup::on_answer(void* self, int status, int /*timeouts*/, ares_addrinfo* answer) {
  static_cast<Lookup*>(self)->take_answer(status, answer);
}

void Lookup::take_answer(int status, ares_addrinfo* answer) {
  --pending_;
  const std::size_t before = addresses.size();
  if (status == ARES_SUCCESS && answer) {
    for (auto* node = answer->nodes; node; node = node->ai_next) {
      if (node->ai_family == AF_INET || node->ai_family == AF_INET6) addresses.push_back(to_address(*node));
    }
  }
  if (answer) ares_freeaddrinfo(answer);
  if (addresses.size() == before) {
    failures.push_back(status == ARES_SUCCESS ? ARES_ENODATA : status);
  }
  // A name that doesn't exist has no address of the other family either.
  const bool decisive = addresses.size() > before || status == ARES_ENOTFOUND;
  if (decisive) grace_ = std::min(grace_, Clock::now() + kOtherFamilyGrace);
}

void Lookup::on_socket_state(void* self, ares_socket_t fd, int readable, int writable) {
  static_cast<Lookup*>(self)->watch(fd, readable != 0, writable != 0);
}

void Lookup::watch(ares_socket_t fd, bool readable, bool writable) {
  if (!readable && !writable) {
    watches_.erase(fd);
    return;
  }
  auto& watch = watches_[fd];
  if (!watch) watch = std::make_unique<Watch>(executor_, fd, ++last_watch_);
  watch->wanted[static_cast<int>(Want::read)] = readable;
  watch->wanted[static_cast<int>(Want::write)] = writable;
  arm(fd, Want::read);
  arm(fd, Want::write);
}

void Lookup::arm(ares_socket_t fd, Want want) {
  const auto found = watches_.find(fd);
  if (found == watches_.end()) return;
  Watch& watch = *found->second;
  const auto side = static_cast<int>(want);
  if (!watch.wanted[side] || watch.waiting[side]) return;
  watch.waiting[side] = true;
  const auto type =
      want == Want::read ? asio::posix::descriptor_base::wait_read : asio::posix::descriptor_base::wait_write;
  watch.descriptor.async_wait(
      type, [weak = weak_from_this(), fd, want, id = watch.id](boost::system::error_code error) {
        if (auto self = weak.lock(); self && !error) self->on_ready(fd, want, id);
      });
}

void Lookup::on_ready(ares_socket_t fd, Want want, std::uint64_t watch_id) {
  const auto found = watches_.find(fd);
  if (found == watches_.end() || found->second->id != watch_id) return;
  found->second->waiting[static_cast<int>(want)] = false;
  ares_process_fd(channel_, want == Want::read ? fd : ARES_SOCKET_BAD,
                  want == Want::write ? fd : ARES_SOCKET_BAD);
  arm(fd, want);
  wake_.cancel();
}

}  // namespace sandbox_worker::worker
