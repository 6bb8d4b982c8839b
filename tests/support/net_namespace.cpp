#include "tests/support/net_namespace.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include "tests/support/on_a_thread.hpp"
#include "tests/support/temp_file.hpp"

namespace sandbox_worker::tests {

namespace {

void check(bool worked, const char* what) {
  if (!worked) throw std::system_error(errno, std::generic_category(), what);
}

/// The command's words are this file's own.
void shell(const std::string& command) {
  const int status = std::system(command.c_str());
  if (status != 0) throw std::runtime_error(fmt::format("'{}' ended with {}", command, status));
}

void enter() {
  check(::unshare(CLONE_NEWNET | CLONE_NEWNS) == 0, "a network namespace (it takes root)");
  check(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "mounts of our own");
  shell("ip link set lo up");
  shell("nft add table inet test");
  shell("nft add chain inet test drops '{ type filter hook input priority 0; }'");
  shell(fmt::format("nft add rule inet test drops ip daddr {} drop", kSilentAddress));
}

}  // namespace

void in_net_namespace(const std::function<void()>& body) {
  const TempFile resolv_conf;
  std::ofstream(resolv_conf.path()) << "nameserver " << kSilentAddress << '\n';
  testing::on_a_thread([&] {
    enter();
    check(::mount(resolv_conf.path().c_str(), "/etc/resolv.conf", nullptr, MS_BIND, nullptr) == 0,
          "/etc/resolv.conf");
    body();
  });
}

bool without_namespaces() {
  const char* said = std::getenv("SANDBOX_TESTS_WITHOUT_NAMESPACES");
  return said && std::string_view(said) == "1";
}

std::size_t drop_established(std::uint16_t server_port) {
  // Lines as "sl local_address rem_address st …", addresses as hexadecimal "ip:port", state 01 established.
  std::ifstream table("/proc/thread-self/net/tcp");
  std::set<unsigned> client_ports;
  std::string line;
  std::getline(table, line);
  while (std::getline(table, line)) {
    std::istringstream fields(line);
    std::string slot, local, remote, state;
    fields >> slot >> local >> remote >> state;
    const auto port = [](const std::string& address) {
      return static_cast<unsigned>(std::stoul(address.substr(address.find(':') + 1), nullptr, 16));
    };
    if (state == "01" && port(remote) == server_port) client_ports.insert(port(local));
  }
  if (client_ports.empty()) return 0;
  const auto ports = fmt::format("{{ {} }}", fmt::join(client_ports, ", "));
  shell(fmt::format("nft add rule inet test drops tcp sport '{}' drop", ports));
  shell(fmt::format("nft add rule inet test drops tcp dport '{}' drop", ports));
  return client_ports.size();
}

}  // namespace sandbox_worker::tests
