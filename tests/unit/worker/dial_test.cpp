#include "worker/client/dial.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <cerrno>

#include "tests/support/full_listener.hpp"
#include "tests/support/loopback_server.hpp"
#include "tests/support/run.hpp"

namespace asio = boost::asio;
using namespace sandbox_worker::tests;
using namespace sandbox_worker::worker;
using namespace std::chrono_literals;
using sandbox_worker::tools::UniqueFd;

namespace {

std::expected<UniqueFd, int> dialled(const std::vector<const char*>& texts, std::uint16_t port,
                                     std::chrono::milliseconds limit) {
  std::vector<asio::ip::address> addresses;
  for (const char* text : texts) addresses.push_back(asio::ip::make_address(text));
  asio::io_context io;
  return run(io, [&] { return dial(io.get_executor(), addresses, port, deadline_after(limit)); });
}

}  // namespace

TEST_CASE("dial: the socket is close-on-exec, without Nagle, and finds a dead peer within a minute") {
  LoopbackServer server([](Peer& peer, int) { peer.wait_closed(); });
  const auto fd = dialled({"127.0.0.1"}, server.port(), 5s);
  REQUIRE(fd.has_value());
  CHECK((::fcntl(fd->get(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((::fcntl(fd->get(), F_GETFL) & O_NONBLOCK) != 0);
  int on = 0;
  socklen_t size = sizeof on;
  CHECK(::getsockopt(fd->get(), IPPROTO_TCP, TCP_NODELAY, &on, &size) == 0);
  CHECK(on != 0);
  CHECK(::getsockopt(fd->get(), SOL_SOCKET, SO_KEEPALIVE, &on, &size) == 0);
  CHECK(on != 0);
  const auto tcp = [&](int name) {
    int value = 0;
    size = sizeof value;
    CHECK(::getsockopt(fd->get(), IPPROTO_TCP, name, &value, &size) == 0);
    return value;
  };
  CHECK(tcp(TCP_KEEPIDLE) + tcp(TCP_KEEPINTVL) * tcp(TCP_KEEPCNT) == 60);
  CHECK(tcp(TCP_USER_TIMEOUT) == 60'000);
}

TEST_CASE("dial: a refused address hands over to the next at once") {
  LoopbackServer server([](Peer& peer, int) { peer.wait_closed(); });
  const auto begin = Clock::now();
  CHECK(dialled({"::1", "127.0.0.1"}, server.port(), 5s).has_value());
  CHECK(Clock::now() - begin < 200ms);
  CHECK(dialled({"::1", "127.0.0.1"}, unused_port(), 5s).error() == ECONNREFUSED);
}

TEST_CASE("dial: an address that is silent is overtaken by the next, and alone runs into the limit") {
  FullListener silent;  // 127.0.0.1 only
  REQUIRE(silent.is_full());
  CHECK(dialled({"127.0.0.1"}, silent.port(), 80ms).error() == ETIMEDOUT);

  const UniqueFd other = listen_on("127.0.0.2", silent.port());
  const auto begin = Clock::now();
  CHECK(dialled({"127.0.0.1", "127.0.0.2"}, silent.port(), 5s).has_value());
  const auto took = Clock::now() - begin;
  CHECK(took >= 240ms);
  CHECK(took < 2s);
}
