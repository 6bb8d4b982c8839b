#include "worker/client/proxy.hpp"

#include <doctest/doctest.h>

using namespace sandbox_worker::worker;

namespace {

BaseUrl url(const char* text) {
  return BaseUrl::parse(text).value();
}

}  // namespace

TEST_CASE("no_proxy: hosts, domains, ports, addresses, blocks") {
  struct Row {
    const char* list;
    const char* host;
    std::uint16_t port;
    bool direct;
  };
  const Row rows[] = {
      {"", "a.example", 443, false},
      {"*", "a.example", 443, true},
      {"a.example", "a.example", 443, true},
      {"A.Example", "a.eXample", 443, true},
      {"a.example", "b.a.example", 443, true},
      {"a.example", "ba.example", 443, false},
      {".example", "a.example", 443, true},
      {"*.example", "a.example", 443, true},
      {".example", "example", 443, true},
      {".", "example", 443, false},
      {"x,  a.example ,y", "a.example", 443, true},
      {"x a.example", "a.example", 443, true},
      {"a.example:8443", "a.example", 443, false},
      {"a.example:8443", "a.example", 8443, true},
      {"10.0.0.0/8", "10.200.3.4", 443, true},
      {"10.0.0.0/8", "11.0.0.1", 443, false},
      {"10.0.0.0/8", "10.example", 443, false},
      {"10.1.2.3", "10.1.2.3", 443, true},
      {"10.1.2.3:80", "10.1.2.3", 443, false},
      {"2.3", "10.1.2.3", 443, false},
      {"0.0.0.0/0", "8.8.8.8", 443, true},
      {"fd00::/8", "fd12::1", 443, true},
      {"fd00::/8", "fe80::1", 443, false},
      {"fd00::/8", "10.0.0.1", 443, false},
      {"[fd12::1]:443", "fd12::1", 443, true},
      {"fd12:0::1", "fd12::1", 443, true},
      {"10.0.0.0/8", "::ffff:10.0.0.1", 443, true},
      {":", "a", 443, false},
      {"/,[,]:1,[]:,:1", "a", 443, false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.list);
    CAPTURE(row.host);
    CHECK(in_no_proxy(row.list, row.host, row.port) == row.direct);
  }
}

TEST_CASE("proxy: chosen by scheme, never for loopback") {
  HttpOptions options;
  options.https_proxy = "http://user:p%40ss@secure.test:3128";
  options.http_proxy = "plain.test";
  options.no_proxy = "direct.example";

  auto proxy = choose_proxy(url("https://a.example"), options);
  REQUIRE(proxy.has_value());
  REQUIRE(proxy->has_value());
  CHECK((*proxy)->name() == "http://secure.test:3128");
  CHECK((*proxy)->authorization == "Basic dXNlcjpwQHNz");

  proxy = choose_proxy(url("http://a.example"), options);
  REQUIRE(proxy->has_value());
  CHECK((*proxy)->name() == "http://plain.test:80");
  CHECK((*proxy)->authorization.empty());

  const char* direct[] = {"https://direct.example", "http://localhost:1", "https://x.localhost",
                          "https://127.3.2.1",      "http://[::1]",       "http://[::ffff:127.0.0.1]"};
  for (const char* text : direct) {
    CAPTURE(text);
    CHECK(!choose_proxy(url(text), options)->has_value());
  }
  CHECK(!choose_proxy(url("https://a.example"), HttpOptions{})->has_value());
}

TEST_CASE("proxy: wrong settings are said without the password") {
  HttpOptions options;
  struct Row {
    const char* proxy;
    const char* error;
  };
  const Row rows[] = {
      {"socks5://u:secret@p:1", "must begin with http:// (others aren't supported)"},
      {"https://p:1", "must begin with http:// (others aren't supported)"},
      {"http://u:secret@", "has no host"},
      {"http://u:se cret@h", "is not a URL like http://host:port"},
      {"http://u:1/secret@h", "is not a URL like http://host:port"},
      {"http://[bad", "is not a URL like http://host:port"},
      {"notaproxy:port", "is not a URL like http://host:port"},
      {"h:99999", "has a port that is not between 1 and 65535"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.proxy);
    options.https_proxy = row.proxy;
    const auto proxy = choose_proxy(url("https://a.example"), options);
    REQUIRE(!proxy.has_value());
    CHECK(proxy.error() == row.error);
  }
  options.https_proxy = "http://h:1/";
  CHECK(choose_proxy(url("https://a.example"), options).has_value());
}
