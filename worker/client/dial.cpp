#include "worker/client/dial.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <memory>

namespace sandbox_worker::worker {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using asio::ip::address;

namespace {

/// RFC 8305's "Connection Attempt Delay".
constexpr auto kAttemptDelay = 250ms;

/// A dead peer is found after a minute also where nobody is waiting: on an idle or streaming connection by
/// keepalive probes (30 s + 3 x 10 s), and where bytes are on their way by the user timeout. A minute is what
/// our own limits on an answer and on the stream's silence allow, and it survives a router that restarts;
/// without these, the kernel's defaults are two hours and a quarter of one.
constexpr int kKeepAliveIdle = 30;
constexpr int kKeepAliveInterval = 10;
constexpr int kKeepAliveProbes = 3;
constexpr int kUserTimeoutMs = 60'000;

void set_option(int fd, int level, int name, int value) {
  // Options are an improvement, never a condition: a sandboxed kernel may know fewer of them.
  ::setsockopt(fd, level, name, &value, sizeof value);
}

tools::UniqueFd open_socket(const address& to) {
  const int family = to.is_v6() ? AF_INET6 : AF_INET;
  tools::UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
  if (!fd) return fd;
  set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd.get(), SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd.get(), IPPROTO_TCP, TCP_KEEPIDLE, kKeepAliveIdle);
  set_option(fd.get(), IPPROTO_TCP, TCP_KEEPINTVL, kKeepAliveInterval);
  set_option(fd.get(), IPPROTO_TCP, TCP_KEEPCNT, kKeepAliveProbes);
  set_option(fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMs);
  return fd;
}

/// A missing IPv6 route says nothing when another address was refused.
bool tells_little(int error) {
  return error == 0 || error == ENETUNREACH || error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
}

/// The attempts of one dial. Their handlers hold it weakly, and its end closes all but the winner.
class Race : public std::enable_shared_from_this<Race> {
 public:
  Race(const asio::any_io_executor& executor, std::vector<address> addresses, std::uint16_t port)
      : executor_(executor), wake_(executor), addresses_(dial_order(std::move(addresses))), port_(port) {
    attempts_.reserve(addresses_.size());  // a descriptor that is being waited on must stay where it is
  }

  asio::awaitable<std::expected<tools::UniqueFd, int>> run(Deadline deadline) {
    Deadline next_start = Clock::now();
    while (!winner_) {
      const bool more = attempts_.size() < addresses_.size();
      if (more && (running_ == 0 || Clock::now() >= next_start)) {
        next_start = Clock::now() + kAttemptDelay;
        start(addresses_[attempts_.size()]);
        continue;
      }
      if (running_ == 0) co_return std::unexpected(error_);
      wake_.expires_at(more ? std::min(next_start, deadline) : deadline);
      co_await wake_.async_wait(asio::as_tuple(asio::use_awaitable));
      if (!winner_ && Clock::now() >= deadline) co_return std::unexpected(ETIMEDOUT);
    }
    co_return std::move(winner_);
  }

 private:
  void start(const address& to) {
    attempts_.emplace_back(executor_);
    tools::UniqueFd fd = open_socket(to);
    if (!fd) return fail(errno);
    const asio::ip::tcp::endpoint endpoint(to, port_);
    if (::connect(fd.get(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0) {
      winner_ = std::move(fd);
      return;
    }
    if (errno != EINPROGRESS) return fail(errno);
    const std::size_t index = attempts_.size() - 1;
    attempts_[index].assign(fd.release());
    ++running_;
    attempts_[index].async_wait(asio::posix::descriptor_base::wait_write,
                                [weak = weak_from_this(), index](boost::system::error_code error) {
                                  if (auto self = weak.lock(); self && !error) self->on_ready(index);
                                });
  }

  void on_ready(std::size_t index) {
    --running_;
    int error = 0;
    socklen_t size = sizeof error;
    auto& attempt = attempts_[index];
    if (::getsockopt(attempt.native_handle(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    if (error != 0) {
      fail(error);
      attempt.close();
    } else if (!winner_) {
      winner_.reset(attempt.release());
    }
    wake_.cancel();
  }

  void fail(int error) {
    if (tells_little(error_)) error_ = error;
  }

  asio::any_io_executor executor_;
  asio::steady_timer wake_;
  std::vector<address> addresses_;
  std::uint16_t port_;
  std::vector<asio::posix::stream_descriptor> attempts_;  // the n-th to the n-th address
  std::size_t running_ = 0;
  tools::UniqueFd winner_;
  int error_ = 0;
};

}  // namespace

std::vector<address> dial_order(std::vector<address> addresses) {
  std::vector<address> families[2];
  for (auto& each : addresses) families[each.is_v6() ? 0 : 1].push_back(each);
  addresses.clear();
  for (std::size_t i = 0; i < std::max(families[0].size(), families[1].size()); ++i) {
    for (auto& family : families) {
      if (i < family.size()) addresses.push_back(family[i]);
    }
  }
  return addresses;
}

asio::awaitable<std::expected<tools::UniqueFd, int>> dial(asio::any_io_executor executor,
                                                          std::vector<address> addresses, std::uint16_t port,
                                                          Deadline deadline) {
  auto race = std::make_shared<Race>(executor, std::move(addresses), port);
  co_return co_await race->run(deadline);
}

}  // namespace sandbox_worker::worker
