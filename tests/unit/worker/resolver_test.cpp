#include "worker/client/resolver.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/fake_dns.hpp"
#include "tests/support/run.hpp"
#include "worker/client/dial.hpp"

namespace asio = boost::asio;
using namespace sandbox_worker::tests;
using namespace sandbox_worker::worker;
using namespace std::chrono_literals;

namespace {

std::string joined(const std::vector<asio::ip::address>& addresses) {
  std::string text;
  for (const auto& each : addresses) text += (text.empty() ? "" : " ") + each.to_string();
  return text;
}

std::string resolved(const std::string& host, const std::string& servers,
                     std::chrono::milliseconds limit = 5s) {
  asio::io_context io;
  Resolver resolver(io.get_executor(), servers);
  const auto addresses = run(io, [&] { return resolver.resolve(host, deadline_after(limit)); });
  if (!addresses) return addresses.error();
  auto sorted = *addresses;
  std::ranges::sort(sorted);
  return joined(sorted);
}

}  // namespace

TEST_CASE("resolver: literals, localhost and the hosts file need no server") {
  const std::string nobody = "127.0.0.1:1";
  CHECK(resolved("192.0.2.7", nobody) == "192.0.2.7");
  CHECK(resolved("2001:db8::1", nobody) == "2001:db8::1");
  CHECK(resolved("localhost", nobody) == "127.0.0.1 ::1");
  CHECK(resolved("LOCALHOST.", nobody) == "127.0.0.1 ::1");
  CHECK(resolved("app.localhost", nobody) == "127.0.0.1 ::1");
}

TEST_CASE("resolver: a name of the hosts file needs no server") {
  std::ifstream hosts("/etc/hosts");
  int names = 0;
  for (std::string line; std::getline(hosts, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string address;
    std::string name;
    if (!(words >> address >> name) || name.contains("localhost") || name.contains("ip6-")) continue;
    ++names;
    CHECK(resolved(name, "127.0.0.1:1").contains(address));
  }
  if (names == 0) MESSAGE("this machine's hosts file has no name of its own");
}

TEST_CASE("resolver: both families are asked") {
  FakeDns dns([](const std::string& name, FakeDns::Kind kind) -> FakeDns::Answer {
    if (name != "api.test.example") return FakeDns::NoSuchName{};
    if (kind == FakeDns::Kind::a) return FakeDns::Addresses{"192.0.2.1", "192.0.2.2"};
    return FakeDns::Addresses{"2001:db8::5"};
  });
  CHECK(resolved("api.test.example", dns.server()) == "192.0.2.1 192.0.2.2 2001:db8::5");
  CHECK(resolved("other.test.example", dns.server()) == "no such name");
}

TEST_CASE("resolver: a server that never answers for IPv6 delays nothing") {
  FakeDns dns([](const std::string&, FakeDns::Kind kind) -> FakeDns::Answer {
    if (kind == FakeDns::Kind::aaaa) return FakeDns::Silence{};
    return FakeDns::Addresses{"192.0.2.1"};
  });
  const auto begin = Clock::now();
  CHECK(resolved("api.test.example", dns.server()) == "192.0.2.1");
  FakeDns none([](const std::string&, FakeDns::Kind kind) -> FakeDns::Answer {
    if (kind == FakeDns::Kind::aaaa) return FakeDns::Silence{};
    return FakeDns::NoSuchName{};
  });
  CHECK(resolved("api.test.example", none.server()) == "no such name");
  CHECK(Clock::now() - begin < 1s);
}

TEST_CASE("resolver: no addresses, no servers, no time") {
  FakeDns empty([](const std::string&, FakeDns::Kind) -> FakeDns::Answer { return FakeDns::Addresses{}; });
  CHECK(resolved("api.test.example", empty.server()) == "the name has no address");
  FakeDns silent([](const std::string&, FakeDns::Kind) -> FakeDns::Answer { return FakeDns::Silence{}; });
  const auto begin = Clock::now();
  CHECK(resolved("api.test.example", silent.server(), 60ms) == "the name servers don't answer");
  CHECK(Clock::now() - begin < 1s);
}

TEST_CASE("resolver: its sockets are closed on exec, and gone when it is cut") {
  const auto open_files = [] {
    std::vector<int> fds;
    for (const auto& each : std::filesystem::directory_iterator("/proc/self/fd")) {
      fds.push_back(std::stoi(each.path().filename()));
    }
    return fds;
  };
  asio::io_context io;
  const asio::steady_timer first(io);  // the reactor's own descriptors come with it
  FakeDns silent([](const std::string&, FakeDns::Kind) -> FakeDns::Answer { return FakeDns::Silence{}; });
  Resolver waiting(io.get_executor(), silent.server());
  asio::co_spawn(
      io, [&] { return waiting.resolve("api.test.example", deadline_after(100ms)); }, [](auto&&...) {});
  const auto before = open_files();
  io.run_one_for(50ms);
  io.run_one_for(10ms);
  const auto during = open_files();
  CHECK(during.size() > before.size());
  for (const int fd : during) {
    if (std::ranges::find(before, fd) == before.end() && ::fcntl(fd, F_GETFD) >= 0) {
      CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    }
  }
  io.run_for(2s);
  CHECK(open_files().size() == before.size());
}

TEST_CASE("dial order: families alternate, IPv6 first") {
  std::vector<asio::ip::address> addresses;
  for (const char* text : {"192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1"}) {
    addresses.push_back(asio::ip::make_address(text));
  }
  CHECK(joined(dial_order(addresses)) == "2001:db8::1 192.0.2.1 192.0.2.2 192.0.2.3");
  CHECK(dial_order({}).empty());
}
