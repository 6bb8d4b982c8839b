#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <cctype>
#include <charconv>

#include "worker/client/http.hpp"

namespace sandbox_worker::worker {

namespace urls = boost::urls;

namespace {

constexpr std::string_view kWrongPort = "has a port that is not between 1 and 65535";

std::expected<std::string, std::string> host_of(const urls::url_view& url) {
  std::string host;
  switch (url.host_type()) {
    case urls::host_type::ipv4:
    case urls::host_type::ipv6:
      return std::string(url.host_address());
    case urls::host_type::name:
      host = std::string(std::string_view(url.encoded_host()));
      break;
    default:
      break;
  }
  if (host.empty()) return std::unexpected("has no host");
  if (host.contains('%')) return std::unexpected("has a host with percent signs");
  for (char& c : host) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return host;
}

std::expected<std::uint16_t, std::string> port_of(const urls::url_view& url, std::uint16_t otherwise) {
  const std::string_view text(url.port());
  if (text.empty()) return otherwise;
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) {
    return std::unexpected(std::string(kWrongPort));
  }
  return port;
}

}  // namespace

std::expected<BaseUrl, std::string> BaseUrl::parse(std::string_view text) {
  const auto parsed = urls::parse_uri(text);
  if (!parsed) return std::unexpected("is not a URL like https://host or http://host:port/prefix");
  const urls::url_view& url = *parsed;
  BaseUrl base;
  if (url.scheme_id() != urls::scheme::https && url.scheme_id() != urls::scheme::http) {
    return std::unexpected("must begin with https:// or http://");
  }
  base.tls = url.scheme_id() == urls::scheme::https;
  if (url.has_userinfo()) return std::unexpected("must not hold a user name or password");
  if (url.has_query() || url.has_fragment()) return std::unexpected("must not have a query or a fragment");
  auto host = host_of(url);
  if (!host) return std::unexpected(host.error());
  base.host = *host;
  const auto port = port_of(url, base.tls ? 443 : 80);
  if (!port) return std::unexpected(port.error());
  base.port = *port;
  // In `h:8080abc`, the grammar ends the port at the `a`: a path that nobody meant.
  if (!url.encoded_path().empty() && !url.encoded_path().starts_with('/')) {
    return std::unexpected(std::string(kWrongPort));
  }
  base.prefix = std::string(std::string_view(url.encoded_path()));
  while (base.prefix.ends_with('/')) base.prefix.pop_back();
  return base;
}

}  // namespace sandbox_worker::worker
