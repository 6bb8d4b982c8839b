#include "worker/client/proxy.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <cctype>
#include <charconv>

#include "worker/client/error_text.hpp"

namespace sandbox_worker::worker {

namespace ip = boost::asio::ip;
namespace urls = boost::urls;

namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

std::optional<ip::address> as_address(std::string_view text) {
  boost::system::error_code error;
  auto address = ip::make_address(std::string(text), error);
  if (error) return std::nullopt;
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return ip::make_address_v4(ip::v4_mapped, address.to_v6());
  }
  return address;
}

bool in_block(const ip::address& address, std::string_view block) {
  boost::system::error_code error;
  if (address.is_v4()) {
    const auto network = ip::make_network_v4(std::string(block), error);
    if (error) return false;
    const auto mask = network.netmask().to_uint();
    return (address.to_v4().to_uint() & mask) == (network.address().to_uint() & mask);
  }
  const auto network = ip::make_network_v6(std::string(block), error);
  if (error) return false;
  const auto of_address = ip::network_v6(address.to_v6(), network.prefix_length()).canonical();
  return of_address == network.canonical();
}

/// `host:port` or `[v6]:port` taken apart; a bare IPv6 address keeps its colons.
struct Entry {
  std::string_view host;
  std::optional<std::uint16_t> port;

  explicit Entry(std::string_view text) : host(text) {
    const auto colon = text.rfind(':');
    const bool bracketed = text.starts_with('[');
    if (colon != text.npos && (bracketed ? text[colon - 1] == ']' : text.find(':') == colon)) {
      std::uint16_t number = 0;
      const auto digits = text.substr(colon + 1);
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
      if (error == std::errc() && end == digits.data() + digits.size()) {
        port = number;
        host = text.substr(0, colon);
      }
    }
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  }
};

bool matches(std::string_view text, std::string_view host, std::uint16_t port) {
  if (text == "*") return true;
  const Entry entry(text);
  if (entry.port && *entry.port != port) return false;
  std::string_view name = entry.host;
  if (const auto address = as_address(host)) {
    return name.contains('/') ? in_block(*address, name) : as_address(name) == address;
  }
  if (name.starts_with('*')) name.remove_prefix(1);
  if (name.starts_with('.')) name.remove_prefix(1);
  if (name.empty()) return false;
  return host == name || (host.ends_with(name) && host[host.size() - name.size() - 1] == '.');
}

std::string basic_authorization(const std::string& credentials) {
  std::string encoded(4 * ((credentials.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                                   reinterpret_cast<const unsigned char*>(credentials.data()),
                                   static_cast<int>(credentials.size()));
  encoded.resize(static_cast<std::size_t>(size));
  return "Basic " + encoded;
}

std::expected<Proxy, std::string> parse_proxy(std::string_view text) {
  const std::string url_text = text.contains("://") ? std::string(text) : fmt::format("http://{}", text);
  const auto parsed = urls::parse_uri(url_text);
  constexpr const char* kForm = "is not a URL like http://host:port";
  if (!parsed) return std::unexpected(kForm);
  const urls::url_view& url = *parsed;
  if (url.scheme_id() != urls::scheme::http)
    return std::unexpected("must begin with http:// (others aren't supported)");
  // What isn't a port, and a password with a slash in it, would be taken for a path.
  if (!url.encoded_path().empty() && url.encoded_path() != "/") return std::unexpected(kForm);
  // The host and port follow the rules of any base URL.
  const auto base = BaseUrl::parse(fmt::format("http://{}", std::string_view(url.encoded_host_and_port())));
  if (!base) return std::unexpected(base.error());
  Proxy proxy;
  proxy.host = base->host;
  proxy.port = base->port;
  if (url.has_userinfo()) proxy.authorization = basic_authorization(url.user() + ":" + url.password());
  return proxy;
}

}  // namespace

std::string Proxy::name() const {
  return "http://" + host_port(host, port);
}

bool is_loopback(std::string_view host) {
  if (const auto address = as_address(host)) return address->is_loopback();
  std::string name = lower(host);
  if (name.ends_with('.')) name.pop_back();
  return name == "localhost" || name.ends_with(".localhost");
}

bool in_no_proxy(std::string_view no_proxy, std::string_view host, std::uint16_t port) {
  const std::string list = lower(no_proxy);
  const std::string name = lower(host);
  constexpr std::string_view kBetween = ", \t";
  std::size_t begin = 0;
  while ((begin = list.find_first_not_of(kBetween, begin)) != list.npos) {
    const std::size_t end = std::min(list.find_first_of(kBetween, begin), list.size());
    if (matches(std::string_view(list).substr(begin, end - begin), name, port)) return true;
    begin = end;
  }
  return false;
}

std::expected<std::optional<Proxy>, std::string> choose_proxy(const BaseUrl& base,
                                                              const HttpOptions& options) {
  const std::string& text = base.tls ? options.https_proxy : options.http_proxy;
  if (text.empty() || is_loopback(base.host)) return std::nullopt;
  if (in_no_proxy(options.no_proxy, base.host, base.port)) return std::nullopt;
  auto proxy = parse_proxy(text);
  if (!proxy) return std::unexpected(proxy.error());
  return *proxy;
}

}  // namespace sandbox_worker::worker
