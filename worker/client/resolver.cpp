#include "worker/client/resolver.hpp"

#include <netinet/in.h>

#include <algorithm>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/address_v6.hpp>
#include <cctype>

#include "worker/client/lookup.hpp"

namespace sandbox_worker::worker {

namespace asio = boost::asio;

namespace {

using Addresses = std::vector<asio::ip::address>;

bool is_localhost(std::string host) {
  std::ranges::transform(host, host.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (host.ends_with('.')) host.pop_back();
  return host == "localhost" || host.ends_with(".localhost");
}

Addresses without_lookup(const std::string& host) {
  boost::system::error_code error;
  const auto literal = asio::ip::make_address(host, error);
  if (!error) return {literal};
  if (is_localhost(host)) return {asio::ip::address_v6::loopback(), asio::ip::address_v4::loopback()};
  return {};
}

std::string why_none(const std::vector<int>& failures) {
  const auto any = [&](auto... codes) {
    return std::ranges::any_of(failures, [&](int failure) { return ((failure == codes) || ...); });
  };
  if (any(ARES_ENOTFOUND, ARES_ENONAME)) return "no such name";
  if (any(ARES_EBADNAME)) return "not a valid name";
  if (failures.empty() || any(ARES_ETIMEOUT, ARES_ECONNREFUSED)) return "the name servers don't answer";
  if (any(ARES_ENODATA)) return "the name has no address";
  return std::string("name look-up failed: ") + ares_strerror(failures.front());
}

}  // namespace

Resolver::Resolver(asio::any_io_executor executor, std::string servers)
    : executor_(std::move(executor)), servers_(std::move(servers)) {}

asio::awaitable<std::expected<Addresses, std::string>> Resolver::resolve(std::string host,
                                                                         Deadline deadline) {
  if (auto known = without_lookup(host); !known.empty()) co_return known;

  // The file first and alone: asked for one family only, c-ares would go on to the servers for a name that
  // the file gives in the other.
  auto lookup = std::make_shared<Lookup>(executor_, "f", servers_);
  lookup->ask(host, AF_UNSPEC);
  if (!lookup->addresses.empty()) co_return std::move(lookup->addresses);

  lookup = std::make_shared<Lookup>(executor_, "b", servers_);
  lookup->ask(host, AF_INET6);
  lookup->ask(host, AF_INET);
  co_await lookup->finish(deadline);
  if (lookup->addresses.empty()) co_return std::unexpected(why_none(lookup->failures));
  co_return std::move(lookup->addresses);
}

}  // namespace sandbox_worker::worker
