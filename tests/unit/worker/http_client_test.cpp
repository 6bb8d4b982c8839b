#include <doctest/doctest.h>

#include <future>
#include <string>

#include "tests/support/full_listener.hpp"
#include "tests/unit/worker/http_fixture.hpp"

using namespace sandbox_worker::tests;
using namespace sandbox_worker::worker;
using namespace std::chrono_literals;

TEST_CASE("http: a request and its answer, over one kept connection") {
  std::string seen;
  LoopbackServer server([&](Peer& peer, int) {
    for (;;) {
      seen += peer.read_request();
      peer.write(answer("hello", "X-Name: Value\r\n"));
    }
  });
  ClientUnderTest client(server.url() + "/prefix");
  for (int i = 0; i < 3; ++i) {
    const auto response = client.send(get("/path?q=1"));
    REQUIRE(response.has_value());
    CHECK(response->status == 200);
    CHECK(response->body == "hello");
    CHECK(find_header(response->headers, "x-name") == "Value");
    CHECK(!find_header(response->headers, "x-other"));
  }
  CHECK(server.connections() == 1);
  CHECK(seen.starts_with("GET /prefix/path?q=1 HTTP/1.1\r\nHost: 127.0.0.1:"));
}

TEST_CASE("http: an answer that comes byte by byte, behind an interim one") {
  LoopbackServer server([&](Peer& peer, int) {
    peer.read_request();
    const std::string wire =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: "
        "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for (const char& byte : wire) peer.write({&byte, 1});
    peer.wait_closed();
  });
  ClientUnderTest client(server.url());
  CHECK(client.send(get())->body == "hello");
}

TEST_CASE("http: redirects and errors are answers") {
  LoopbackServer server([&](Peer& peer, int) {
    peer.read_request();
    peer.write("HTTP/1.1 307 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n");
    peer.read_request();
    peer.write("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
  });
  ClientUnderTest client(server.url());
  CHECK(client.send(get())->status == 307);
  CHECK(client.send(get())->status == 503);
  CHECK(server.connections() == 1);
}

TEST_CASE("http: a large body goes up, and a large answer comes down") {
  const std::string big(6 * 1024 * 1024, 'b');
  std::size_t received = 0;
  LoopbackServer server([&](Peer& peer, int) {
    received = peer.read_request().size();
    peer.write(answer(big));
    peer.wait_closed();
  });
  ClientUnderTest client(server.url());
  const auto response = client.send(post(big));
  REQUIRE(response.has_value());
  CHECK(response->body == big);
  CHECK(received > big.size());
}

TEST_CASE("http: IPv6 loopback, and localhost that only one family serves") {
  LoopbackServer server(
      [&](Peer& peer, int) {
        peer.read_request();
        peer.write(answer("six"));
        peer.wait_closed();
      },
      LoopbackServer::Family::v6);
  ClientUnderTest six(server.url("http", "[::1]"));
  CHECK(six.send(get())->body == "six");
  ClientUnderTest name(server.url("http", "localhost"));
  CHECK(name.send(get())->body == "six");

  LoopbackServer four([&](Peer& peer, int) {
    peer.read_request();
    peer.write(answer("four"));
  });
  ClientUnderTest other(four.url("http", "localhost"));
  CHECK(other.send(get())->body == "four");
}

TEST_CASE("http: a refused connection says where") {
  const auto port = std::to_string(unused_port());
  ClientUnderTest client("http://127.0.0.1:" + port);
  const auto response = client.send(get());
  REQUIRE(!response.has_value());
  CHECK(response.error().kind == HttpErrorKind::connect);
  CHECK(response.error().message == "connect to 127.0.0.1:" + port + ": connection refused");
  CHECK(!response.error().request_sent);
  ClientUnderTest name("http://localhost:" + port);
  CHECK(name.send(get()).error().message == "connect to localhost:" + port + ": connection refused");
}

TEST_CASE("http: a host that is silent is given up at the connect limit") {
  FullListener silent;
  REQUIRE(silent.is_full());
  HttpOptions options;
  options.connect_timeout = 60ms;
  const auto address = "127.0.0.1:" + std::to_string(silent.port());
  ClientUnderTest client("http://" + address, options);
  const auto error = client.send(get()).error();
  CHECK(error.kind == HttpErrorKind::connect);
  CHECK(error.message == "connect to " + address + ": no answer within 60 ms");
}

TEST_CASE("http: each wait has its limit") {
  HttpOptions options;
  options.response_timeout = 60ms;
  options.write_timeout = 60ms;
  LoopbackServer server([&](Peer& peer, int nth) {
    if (nth == 1) {
      peer.read_request();  // and no answer
    } else if (nth == 2) {
      peer.read_request();
      peer.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    }
    peer.wait_closed();
  });
  ClientUnderTest client(server.url(), options);
  const auto peer = "127.0.0.1:" + std::to_string(server.port());

  auto error = client.send(get()).error();
  CHECK(error.kind == HttpErrorKind::timeout);
  CHECK(error.message == peer + ": no answer within 60 ms");
  CHECK(error.request_sent);

  error = client.send(get()).error();
  CHECK(error.kind == HttpErrorKind::timeout);
  CHECK(error.message == peer + ": the answer was not whole within 60 ms");
}

TEST_CASE("http: a server that takes nothing of a large body") {
  HttpOptions options;
  options.write_timeout = 60ms;
  std::promise<void> done;
  LoopbackServer server([&](Peer& peer, int) {
    peer.read_head();
    done.get_future().wait_for(5s);
  });
  ClientUnderTest client(server.url(), options);
  const auto error = client.send(post(std::string(32 * 1024 * 1024, 'x'))).error();
  done.set_value();
  CHECK(error.kind == HttpErrorKind::timeout);
  CHECK(error.message.ends_with(": took nothing of the request for 60 ms"));
  CHECK(error.request_sent);
}

TEST_CASE("http: an early refusal of a large body is the answer") {
  LoopbackServer server([&](Peer& peer, int) {
    peer.read_head();
    peer.write("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
    peer.wait_closed();
  });
  HttpOptions options;
  options.write_timeout = 60ms;
  ClientUnderTest client(server.url(), options);
  const auto response = client.send(post(std::string(32 * 1024 * 1024, 'x')));
  REQUIRE(response.has_value());
  CHECK(response->status == 413);
}

TEST_CASE("http: an answer over its limits") {
  LoopbackServer server([&](Peer& peer, int nth) {
    peer.read_request();
    if (nth == 1) peer.write("HTTP/1.1 200 OK\r\nX: " + std::string(3000, 'x') + "\r\n\r\n");
    if (nth == 2) peer.write(answer(std::string(2001, 'x')));
    peer.wait_closed();
  });
  HttpOptions options;
  options.max_header_bytes = 2048;
  options.max_body_bytes = 2000;
  ClientUnderTest client(server.url(), options);
  auto error = client.send(get()).error();
  CHECK(error.kind == HttpErrorKind::too_large);
  CHECK(error.message ==
        "127.0.0.1:" + std::to_string(server.port()) + ": the header of the answer is over 2 KiB");
  error = client.send(get()).error();
  CHECK(error.kind == HttpErrorKind::too_large);
  CHECK(error.message ==
        "127.0.0.1:" + std::to_string(server.port()) + ": the body of the answer is over 2000 bytes");
}

TEST_CASE("http: an answer that ends early, or is none") {
  LoopbackServer server([&](Peer& peer, int nth) {
    peer.read_request();
    if (nth == 2) peer.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    if (nth == 3) peer.write("220 mail.example ESMTP\r\n\r\n");
    if (nth == 4) peer.reset();
  });
  ClientUnderTest client(server.url());
  const auto peer = "127.0.0.1:" + std::to_string(server.port());
  auto error = client.send(get()).error();
  CHECK(error.kind == HttpErrorKind::closed);
  CHECK(error.message == peer + ": connection closed before the answer");
  error = client.send(get()).error();
  CHECK(error.kind == HttpErrorKind::closed);
  CHECK(error.message == peer + ": connection closed within the answer");
  error = client.send(get()).error();
  CHECK(error.kind == HttpErrorKind::malformed);
  CHECK(error.message.starts_with(peer + ": the answer is not HTTP/1.1"));
  error = client.send(get()).error();
  CHECK(error.kind == HttpErrorKind::closed);
  CHECK(error.message == peer + ": connection reset by peer before the answer");
  CHECK(error.request_sent);
}

TEST_CASE("http: a kept connection that the server closed is replaced, also for a POST") {
  for (const bool watched : {false, true}) {
    CAPTURE(watched);
    std::atomic<bool> ended = false;
    LoopbackServer server([&](Peer& peer, int nth) {
      peer.read_request();
      peer.write(answer(std::to_string(nth)));
      if (nth == 1) peer.end_writing();  // although it said nothing of the kind
      ended = true;
      peer.wait_closed();
    });
    ClientUnderTest client(server.url());
    CHECK(client.send(get())->body == "1");
    // Seen by the watch on idle connections, or only when the connection is taken.
    if (watched) client.until([&] { return ended.load(); });
    while (!ended) std::this_thread::yield();
    const auto response = client.send(post("x"));
    REQUIRE(response.has_value());
    CHECK(response->body == "2");
  }
}

TEST_CASE("http: a kept connection closed under a request: a GET is sent again, a POST is not") {
  std::atomic<int> posts = 0;
  LoopbackServer server([&](Peer& peer, int) {
    peer.read_request();
    peer.write(answer("first"));
    posts += peer.read_request().starts_with("POST") ? 1 : 0;  // taken, then closed without an answer
  });
  {
    ClientUnderTest client(server.url());
    CHECK(client.send(get())->body == "first");
    CHECK(client.send(get())->body == "first");
    CHECK(server.connections() == 2);
  }
  ClientUnderTest client(server.url());
  CHECK(client.send(get())->body == "first");
  const auto error = client.send(post("x")).error();
  CHECK(error.kind == HttpErrorKind::closed);
  CHECK(error.request_sent);
  CHECK(posts == 1);
  CHECK(server.connections() == 3);
}

TEST_CASE("http: Connection: close is heeded, and bytes behind an answer spoil the connection") {
  LoopbackServer server([&](Peer& peer, int nth) {
    peer.read_request();
    if (nth == 1) peer.write(answer("a", "Connection: close\r\n"));
    if (nth == 2) peer.write(answer("b") + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    if (nth == 3) peer.write(answer("c"));
    peer.wait_closed();
  });
  ClientUnderTest client(server.url());
  CHECK(client.send(get())->body == "a");
  CHECK(client.send(get())->body == "b");
  CHECK(client.send(get())->body == "c");
}

TEST_CASE("http: warm_up opens a connection that the next request uses; give_up_connections closes it") {
  std::atomic<int> closed = 0;
  LoopbackServer server([&](Peer& peer, int) {
    try {
      for (;;) {
        peer.read_request();
        peer.write(answer("x"));
      }
    } catch (const std::exception&) {
      ++closed;
    }
  });
  ClientUnderTest client(server.url());
  client.warm_up();
  CHECK(client.until([&] { return server.connections() == 1; }));
  CHECK(client.send(get())->body == "x");
  CHECK(server.connections() == 1);
  client.client.give_up_connections();
  CHECK(client.until([&] { return closed == 1; }));
  CHECK(client.send(get())->body == "x");
  CHECK(server.connections() == 2);

  ClientUnderTest refused("http://127.0.0.1:" + std::to_string(unused_port()));
  refused.warm_up();
}

TEST_CASE("http: an idle connection is dropped as soon as the server ends it or speaks unasked") {
  for (const bool speaks : {false, true}) {
    CAPTURE(speaks);
    std::atomic<bool> dropped = false;
    LoopbackServer server([&](Peer& peer, int) {
      peer.read_request();
      peer.write(answer("x"));
      if (speaks) peer.write("HTTP/1.1 408 Too Slow\r\n\r\n");
      if (!speaks) peer.end_writing();
      peer.wait_closed();
      dropped = true;
    });
    ClientUnderTest client(server.url());
    CHECK(client.send(get())->body == "x");
    CHECK(client.until([&] { return dropped.load(); }));
  }
}

TEST_CASE("http: requests at once use a connection each; eight are kept") {
  constexpr int kRequests = 10;
  std::atomic<int> arrived = 0;
  std::atomic<int> closed = 0;
  LoopbackServer server([&](Peer& peer, int) {
    peer.read_request();
    ++arrived;
    while (arrived < kRequests) std::this_thread::yield();
    peer.write(answer("x"));
    peer.wait_closed();
    ++closed;
  });
  ClientUnderTest client(server.url());
  int answered = 0;
  for (int i = 0; i < kRequests; ++i) {
    boost::asio::co_spawn(client.io, client.client.send(get()), [&](std::exception_ptr, auto response) {
      if (response && response->body == "x") ++answered;
    });
  }
  CHECK(client.until([&] { return answered == kRequests; }));
  CHECK(server.connections() == kRequests);
  CHECK(client.until([&] { return closed == kRequests - 8; }));
}

TEST_CASE("http: a request that can't be written is refused before a connection is made") {
  ClientUnderTest client("http://127.0.0.1:" + std::to_string(unused_port()));
  const auto error = client.send({"GET", "/", {{"X", "a\r\nEvil: 1"}}, {}}).error();
  CHECK(error.kind == HttpErrorKind::malformed);
  CHECK(error.message == "request: the value of header X has a control character");
}
