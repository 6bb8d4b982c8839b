#include "tests/support/fake_dns.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace sandbox_worker::tests {

namespace {

constexpr std::size_t kHeaderBytes = 12;
constexpr char kTypeAaaa = 28;

std::string address_record(const std::string& text, bool v6) {
  unsigned char bytes[16] = {};
  ::inet_pton(v6 ? AF_INET6 : AF_INET, text.c_str(), bytes);
  const std::size_t size = v6 ? 16 : 4;
  std::string record("\xc0\x0c", 2);  // the name of the question
  record += {0, v6 ? kTypeAaaa : '\x01', 0, 1, 0, 0, 0, 60, 0, static_cast<char>(size)};
  return record.append(reinterpret_cast<const char*>(bytes), size);
}

}  // namespace

FakeDns::FakeDns(Rule rule)
    : rule_(std::move(rule)), socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof in;
  ::bind(socket_.get(), reinterpret_cast<sockaddr*>(&in), size);
  ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&in), &size);
  port_ = ntohs(in.sin_port);
  thread_ = std::thread([this] { serve(); });
}

FakeDns::~FakeDns() {
  // An empty datagram to itself ends serve(); a blocked recvfrom is not ended by closing.
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(port_);
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ::sendto(socket_.get(), "", 0, 0, reinterpret_cast<sockaddr*>(&in), sizeof in);
  thread_.join();
}

std::string FakeDns::server() const {
  return fmt::format("127.0.0.1:{}", port_);
}

void FakeDns::serve() {
  for (;;) {
    char query[512];
    sockaddr_in from{};
    socklen_t size = sizeof from;
    const auto count =
        ::recvfrom(socket_.get(), query, sizeof query, 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (count <= 0) return;
    const std::string reply = reply_to({query, static_cast<std::size_t>(count)});
    if (!reply.empty()) {
      ::sendto(socket_.get(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
  }
}

std::string FakeDns::reply_to(std::string_view query) const {
  std::string name;
  std::size_t at = kHeaderBytes;
  while (at < query.size() && query[at] != 0) {
    const auto length = static_cast<std::size_t>(query[at]);
    name += (name.empty() ? "" : ".") + std::string(query.substr(at + 1, length));
    at += length + 1;
  }
  const std::size_t question_end = at + 5;
  if (question_end > query.size()) return {};
  const bool v6 = query[at + 2] == kTypeAaaa;
  const Answer answer = rule_(name, v6 ? Kind::aaaa : Kind::a);
  if (std::holds_alternative<Silence>(answer)) return {};
  const auto* addresses = std::get_if<Addresses>(&answer);
  std::string reply(query.substr(0, 2));
  reply +=
      {'\x81', addresses ? '\x80' : '\x83', 0, 1, 0, static_cast<char>(addresses ? addresses->size() : 0)};
  reply += std::string(4, '\0');
  reply += query.substr(kHeaderBytes, question_end - kHeaderBytes);
  if (addresses) {
    for (const auto& each : *addresses) reply += address_record(each, v6);
  }
  return reply;
}

}  // namespace sandbox_worker::tests
