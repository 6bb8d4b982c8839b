#include <doctest/doctest.h>

#include <string>

#include "tests/unit/worker/http_fixture.hpp"

using namespace sandbox_worker::tests;
using namespace sandbox_worker::worker;
using namespace std::chrono_literals;

TEST_CASE("proxy: https goes through a tunnel, verified for the server's own name") {
  TestCa ca;
  const Identity identity = ca.issue({"DNS:api.test.example"});
  std::string connect;
  std::string request;
  LoopbackServer proxy([&](Peer& peer, int) {
    connect = peer.read_head();
    peer.write("HTTP/1.1 200 Connection established\r\n\r\n");
    peer.start_tls(identity);
    for (;;) {
      request = peer.read_request();
      peer.write(answer("through"));
    }
  });
  HttpOptions options;
  options.ca_file = ca.file();
  options.https_proxy = "http://user:secret@127.0.0.1:" + std::to_string(proxy.port());
  ClientUnderTest client("https://api.test.example/v1", options);
  CHECK(client.send(get("/x")).value().body == "through");
  CHECK(client.send(get("/x")).value().body == "through");
  CHECK(proxy.connections() == 1);
  CHECK(connect ==
        "CONNECT api.test.example:443 HTTP/1.1\r\nHost: api.test.example:443\r\n"
        "Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n\r\n");
  CHECK(request == "GET /v1/x HTTP/1.1\r\nHost: api.test.example\r\n\r\n");
}

TEST_CASE("proxy: plain http is asked for as a whole URL") {
  std::string request;
  LoopbackServer proxy([&](Peer& peer, int) {
    request = peer.read_request();
    peer.write(answer("fetched"));
    peer.wait_closed();
  });
  HttpOptions options;
  options.http_proxy = proxy.url();
  ClientUnderTest client("http://api.test.example:81/v1", options);
  CHECK(client.send(get("/x")).value().body == "fetched");
  CHECK(request == "GET http://api.test.example:81/v1/x HTTP/1.1\r\nHost: api.test.example:81\r\n\r\n");
}

TEST_CASE("proxy: its refusals and failures are said, without its password") {
  LoopbackServer proxy([&](Peer& peer, int nth) {
    peer.read_head();
    if (nth == 1) {
      peer.write("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 3\r\n\r\nno!");
    } else if (nth == 2) {
      return;
    } else if (nth == 3) {
      peer.write("HTTP/1.1 200 OK\r\n\r\nunasked");
    }
    peer.wait_closed();
  });
  HttpOptions options;
  options.connect_timeout = 200ms;
  const std::string address = "127.0.0.1:" + std::to_string(proxy.port());
  options.https_proxy = "http://user:secret@" + address;
  ClientUnderTest client("https://api.test.example", options);
  const std::string name = "proxy http://" + address;
  const std::string on_connect = name + " on CONNECT to api.test.example:443: ";
  const std::string messages[] = {
      name + " refused CONNECT to api.test.example:443: 407 Proxy Authentication Required",
      on_connect + "connection closed before the answer",
      on_connect + "it sent more than an answer",
      on_connect + "no answer within 200 ms",
  };
  for (const auto& message : messages) {
    const auto error = client.send(get()).error();
    CHECK(error.kind == HttpErrorKind::proxy);
    CHECK(error.message == message);
    CHECK(!error.request_sent);
  }

  const auto port = std::to_string(unused_port());
  options.https_proxy = "127.0.0.1:" + port;
  ClientUnderTest refused("https://api.test.example", options);
  const auto error = refused.send(get()).error();
  CHECK(error.kind == HttpErrorKind::proxy);
  CHECK(error.message == "proxy http://127.0.0.1:" + port + ": connection refused");

  options.https_proxy = "socks5://127.0.0.1:1";
  ClientUnderTest wrong("https://api.test.example", options);
  CHECK(wrong.send(get()).error().message == "the proxy must begin with http:// (others aren't supported)");
}
