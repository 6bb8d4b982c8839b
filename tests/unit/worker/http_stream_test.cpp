#include <doctest/doctest.h>

#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>
#include <string>

#include "tests/support/fake_dns.hpp"
#include "tests/support/full_listener.hpp"
#include "tests/unit/worker/http_fixture.hpp"
#include "worker/client/resolver.hpp"

namespace asio = boost::asio;
using namespace sandbox_worker::tests;
using namespace sandbox_worker::worker;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view kChunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n";

/// Runs `make()` until `when` holds, then cancels it; true if it threw operation_aborted.
template <class Make, class When>
bool aborted(asio::io_context& io, Make make, When when) {
  asio::cancellation_signal cancel;
  bool done = false;
  bool as_expected = false;
  asio::co_spawn(io, make(), asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr error, auto) {
                   done = true;
                   try {
                     if (error) std::rethrow_exception(error);
                   } catch (const boost::system::system_error& thrown) {
                     as_expected = thrown.code() == asio::error::operation_aborted;
                   }
                 }));
  const auto end = std::chrono::steady_clock::now() + 5s;
  io.restart();
  while (!when() && std::chrono::steady_clock::now() < end) io.run_one_for(5ms);
  CHECK(!done);
  cancel.emit(asio::cancellation_type::terminal);
  io.restart();
  while (!done && std::chrono::steady_clock::now() < end) io.run_one_for(5ms);
  return as_expected;
}

}  // namespace

TEST_CASE("http stream: pieces as they come, a clean end, and the connection kept") {
  LoopbackServer whole([&](Peer& peer, int) {
    for (;;) {
      peer.read_request();
      peer.write(std::string(kChunked) + "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
    }
  });
  ClientUnderTest client(whole.url());
  for (int i = 0; i < 2; ++i) {
    auto stream = client.open(get());
    REQUIRE(stream.has_value());
    CHECK((*stream)->status() == 200);
    CHECK((*stream)->headers().size() == 2);
    std::string body;
    for (;;) {
      const auto piece = client.read(**stream);
      REQUIRE(piece.has_value());
      if (piece->empty()) break;
      body += *piece;
    }
    CHECK(body == "onetwo");
    CHECK(client.read(**stream)->empty());
  }
  CHECK(whole.connections() == 1);
}

TEST_CASE("http stream: no limit on the total, small pieces") {
  constexpr std::size_t kTotal = 80 * 1024 * 1024;
  LoopbackServer server([&](Peer& peer, int) {
    peer.read_request();
    peer.write("HTTP/1.1 200 OK\r\n\r\n");  // until closed
    const std::string block(1024 * 1024, 'x');
    for (std::size_t sent = 0; sent < kTotal; sent += block.size()) peer.write(block);
  });
  ClientUnderTest client(server.url());
  auto stream = client.open(get());
  REQUIRE(stream.has_value());
  const auto [total, largest] = run(client.io, [&]() -> asio::awaitable<std::pair<std::size_t, std::size_t>> {
    std::size_t sum = 0;
    std::size_t most = 0;
    for (;;) {
      auto piece = co_await (*stream)->read(5s);
      if (!piece || piece->empty()) break;
      sum += piece->size();
      most = std::max(most, piece->size());
    }
    co_return std::pair(sum, most);
  });
  CHECK(total == kTotal);
  CHECK(largest <= 64 * 1024);
}

TEST_CASE("http stream: silence and a cut are errors, again when asked again") {
  LoopbackServer server([&](Peer& peer, int nth) {
    peer.read_request();
    peer.write(std::string(kChunked) + "3\r\none\r\n");
    if (nth == 1) peer.wait_closed();
  });
  ClientUnderTest client(server.url());
  const auto peer = "127.0.0.1:" + std::to_string(server.port());
  {
    auto stream = client.open(get());
    CHECK(client.read(**stream).value() == "one");
    const auto error = client.read(**stream, 60ms).error();
    CHECK(error.kind == HttpErrorKind::timeout);
    CHECK(error.message == peer + ": nothing came for 60 ms");
    CHECK(client.read(**stream, 60ms).error().kind == HttpErrorKind::timeout);
  }
  auto stream = client.open(get());
  CHECK(client.read(**stream).value() == "one");
  const auto error = client.read(**stream).error();
  CHECK(error.kind == HttpErrorKind::closed);
  CHECK(error.message == peer + ": connection closed within the answer");
}

TEST_CASE("http stream: destruction closes the connection") {
  std::atomic<bool> closed = false;
  LoopbackServer server([&](Peer& peer, int) {
    peer.read_request();
    peer.write(kChunked);
    peer.wait_closed();
    closed = true;
  });
  ClientUnderTest client(server.url());
  client.open(get())->reset();
  CHECK(client.until([&] { return closed.load(); }));
}

TEST_CASE("http: cancelled in the middle, it throws and closes") {
  TestCa ca;
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    const Identity identity = ca.issue({"IP:127.0.0.1"});
    std::atomic<int> received = 0;
    std::atomic<int> closed = 0;
    LoopbackServer server([&](Peer& peer, int nth) {
      if (tls) peer.start_tls(identity);
      peer.read_request();
      if (nth == 2) peer.write(kChunked);
      ++received;
      peer.wait_closed();
      ++closed;
    });
    HttpOptions options;
    options.ca_file = ca.file();
    ClientUnderTest client(server.url(tls ? "https" : "http"), options);
    CHECK(aborted(client.io, [&] { return client.client.send(get()); }, [&] { return received == 1; }));
    CHECK(client.until([&] { return closed == 1; }));

    auto stream = client.open(get());
    REQUIRE(stream.has_value());
    bool reading = false;
    const auto read = [&]() -> asio::awaitable<int> {
      reading = true;
      co_await (*stream)->read(5s);
      co_return 0;
    };
    CHECK(aborted(client.io, read, [&] { return reading && received == 2; }));
    CHECK(closed == 1);
    stream->reset();
    CHECK(client.until([&] { return closed == 2; }));
  }
}

TEST_CASE("http: cancelled while it looks a name up, connects, or shakes hands") {
  FullListener full;
  REQUIRE(full.is_full());
  LoopbackServer mute([](Peer& peer, int) { peer.wait_closed(); });
  TestCa ca;
  HttpOptions options;
  options.ca_file = ca.file();
  const std::string urls[] = {"http://127.0.0.1:" + std::to_string(full.port()), mute.url("https")};
  for (const auto& url : urls) {
    CAPTURE(url);
    ClientUnderTest client(url, options);
    int turns = 0;
    CHECK(aborted(client.io, [&] { return client.client.send(get()); }, [&] { return ++turns > 5; }));
  }

  FakeDns silent([](const std::string&, FakeDns::Kind) -> FakeDns::Answer { return FakeDns::Silence{}; });
  asio::io_context io;
  Resolver resolver(io.get_executor(), silent.server());
  int turns = 0;
  const auto resolve = [&] { return resolver.resolve("api.test.example", kNoDeadline); };
  CHECK(aborted(io, resolve, [&] { return ++turns > 5; }));
}

TEST_CASE("http: a client may go while a request of it is under way") {
  LoopbackServer server([&](Peer& peer, int) { peer.wait_closed(); });
  asio::io_context io;
  auto client =
      std::make_unique<HttpClient>(io.get_executor(), BaseUrl::parse(server.url()).value(), HttpOptions{});
  const auto make = [&] {
    auto request = client->send(get());
    asio::post(io, [&] { client.reset(); });
    return request;
  };
  CHECK(aborted(io, make, [&] { return client == nullptr; }));
}

TEST_CASE("http: given up connections end what is under way on them, and the client goes on with new ones") {
  LoopbackServer server([&](Peer& peer, int nth) {
    peer.read_request();
    if (nth == 1) peer.write(std::string(kChunked) + "3\r\none\r\n");
    if (nth == 3) peer.write(answer("new"));
    peer.wait_closed();
  });
  ClientUnderTest client(server.url());
  const auto peer = "127.0.0.1:" + std::to_string(server.port());
  auto stream = client.open(get());
  CHECK(client.read(**stream).value() == "one");

  std::optional<HttpError> cut;
  std::optional<HttpError> unanswered;
  asio::co_spawn(client.io, (*stream)->read(0s), [&](std::exception_ptr, auto read) { cut = read.error(); });
  asio::co_spawn(client.io, client.client.send(post("x")),
                 [&](std::exception_ptr, auto sent) { unanswered = sent.error(); });
  CHECK(client.until([&] { return server.connections() == 2; }));
  client.settle();
  CHECK_FALSE(cut);
  CHECK_FALSE(unanswered);

  client.client.give_up_connections();
  CHECK(client.until([&] { return cut && unanswered; }));
  CHECK(cut->kind == HttpErrorKind::closed);
  CHECK(cut->message == peer + ": given up after an absence of this process within the answer");
  CHECK(unanswered->kind == HttpErrorKind::closed);
  CHECK(unanswered->request_sent);
  CHECK(client.send(get())->body == "new");
}

TEST_CASE("http: given up connections let what is being connected begin anew") {
  FullListener silent;
  REQUIRE(silent.is_full());
  HttpOptions options;
  options.connect_timeout = 300ms;
  ClientUnderTest client("http://127.0.0.1:" + std::to_string(silent.port()), options);
  std::optional<HttpError> failed;
  const auto began = std::chrono::steady_clock::now();
  asio::co_spawn(client.io, client.client.send(get()),
                 [&](std::exception_ptr, auto sent) { failed = sent.error(); });
  client.io.restart();
  client.io.run_for(200ms);
  CHECK_FALSE(failed);
  client.client.give_up_connections();
  CHECK(client.until([&] { return failed.has_value(); }));
  CHECK(failed->kind == HttpErrorKind::connect);
  // The limit began again.
  CHECK(std::chrono::steady_clock::now() - began >= 450ms);
}
