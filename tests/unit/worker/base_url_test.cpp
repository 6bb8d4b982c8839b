#include <doctest/doctest.h>

#include <string>

#include "worker/client/http.hpp"

using sandbox_worker::worker::BaseUrl;

TEST_CASE("base url: scheme, host, port and prefix") {
  struct Row {
    const char* text;
    bool tls;
    const char* host;
    int port;
    const char* prefix;
  };
  const Row rows[] = {
      {"https://api.example.com", true, "api.example.com", 443, ""},
      {"https://api.example.com/", true, "api.example.com", 443, ""},
      {"http://API.Example.com/v1/", false, "api.example.com", 80, "/v1"},
      {"https://api.example.com:8443/a/b%20c//", true, "api.example.com", 8443, "/a/b%20c"},
      {"http://127.0.0.1:9", false, "127.0.0.1", 9, ""},
      {"https://[::1]:9/x", true, "::1", 9, "/x"},
      {"HTTPS://h", true, "h", 443, ""},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const auto url = BaseUrl::parse(row.text);
    REQUIRE(url.has_value());
    CHECK(url->tls == row.tls);
    CHECK(url->host == row.host);
    CHECK(url->port == row.port);
    CHECK(url->prefix == row.prefix);
  }
}

TEST_CASE("base url: what is wrong is said, without what it holds") {
  struct Row {
    const char* text;
    const char* error;
  };
  const Row rows[] = {
      {"", "is not a URL like https://host or http://host:port/prefix"},
      {"api.example.com", "is not a URL like https://host or http://host:port/prefix"},
      {"https://a b", "is not a URL like https://host or http://host:port/prefix"},
      {"ftp://h", "must begin with https:// or http://"},
      {"https://", "has no host"},
      {"https:///path", "has no host"},
      {"https://user:secret@h", "must not hold a user name or password"},
      {"https://h?a=b", "must not have a query or a fragment"},
      {"https://h#a", "must not have a query or a fragment"},
      {"https://h:0", "has a port that is not between 1 and 65535"},
      {"http://h:8080abc", "has a port that is not between 1 and 65535"},
      {"http://h:abc", "has a port that is not between 1 and 65535"},
      {"http://h:-1", "has a port that is not between 1 and 65535"},
      {"https://h:65536", "has a port that is not between 1 and 65535"},
      {"https://a%2fb", "has a host with percent signs"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const auto url = BaseUrl::parse(row.text);
    REQUIRE(!url.has_value());
    CHECK(url.error() == row.error);
  }
}
