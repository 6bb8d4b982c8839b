#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/unit/worker/http_fixture.hpp"
#include "worker/client/trust.hpp"

using namespace sandbox_worker::tests;
using namespace sandbox_worker::worker;
using namespace std::chrono_literals;

namespace {

HttpOptions trusting(const TestCa& ca) {
  HttpOptions options;
  options.ca_file = ca.file();
  return options;
}

/// A TLS server that answers every request with "secret"; a failed handshake ends its script.
LoopbackServer::Script tls_script(const Identity& identity) {
  return [&identity](Peer& peer, int) {
    peer.start_tls(identity);
    for (;;) {
      peer.read_request();
      peer.write(answer("secret"));
    }
  };
}

HttpError error_of(const Identity& identity, const HttpOptions& options, std::string& peer) {
  LoopbackServer server(tls_script(identity));
  peer = "127.0.0.1:" + std::to_string(server.port());
  ClientUnderTest client(server.url("https"), options);
  return client.send(get()).error();
}

}  // namespace

TEST_CASE("https: verified and kept, session tickets or not") {
  TestCa ca;
  const Identity identity = ca.issue({"IP:127.0.0.1"});
  LoopbackServer server(tls_script(identity));
  ClientUnderTest client(server.url("https"), trusting(ca));
  client.warm_up();
  // The server's session tickets arrive while the connection is idle, and must not cost it.
  client.settle();
  for (int i = 0; i < 3; ++i) CHECK(client.send(get()).value().body == "secret");
  CHECK(server.connections() == 1);
}

TEST_CASE("https: names are verified too, without look-up for localhost") {
  TestCa ca;
  const Identity identity = ca.issue({"DNS:localhost"});
  LoopbackServer server(tls_script(identity));
  ClientUnderTest client(server.url("https", "localhost"), trusting(ca));
  CHECK(client.send(get()).value().body == "secret");
}

TEST_CASE("https: what is wrong with a certificate is said") {
  TestCa ca;
  TestCa other;
  std::string peer;
  auto error = error_of(ca.issue({"DNS:other.example"}), trusting(ca), peer);
  CHECK(error.kind == HttpErrorKind::tls);
  CHECK(error.message == "TLS to " + peer + ": certificate is for other.example, not for this host");
  CHECK(!error.request_sent);

  error = error_of(ca.issue({"DNS:a", "IP:10.1.2.3", "DNS:b", "DNS:c"}), trusting(ca), peer);
  CHECK(error.message == "TLS to " + peer + ": certificate is for a, 10.1.2.3, b, …, not for this host");

  error = error_of(ca.issue({"IP:127.0.0.1"}, -10, -1), trusting(ca), peer);
  CHECK(error.message == "TLS to " + peer + ": certificate has expired");

  error = error_of(ca.issue({"IP:127.0.0.1"}, 1, 10), trusting(ca), peer);
  CHECK(error.message ==
        "TLS to " + peer + ": certificate is not valid yet (is this machine's clock right?)");

  error = error_of(ca.issue({"IP:127.0.0.1"}), trusting(other), peer);
  CHECK(error.message ==
        "TLS to " + peer + ": certificate is self-signed or its issuer is unknown (CA file: " + other.file() +
            "; --ca-file adds one)");
}

TEST_CASE("https: a server that doesn't speak TLS, goes away, or stays silent") {
  LoopbackServer server([&](Peer& peer, int nth) {
    if (nth == 1) peer.write("HTTP/1.1 400 Bad Request\r\n\r\n");
    if (nth == 2) return;
    peer.wait_closed();
  });
  TestCa ca;
  HttpOptions options = trusting(ca);
  options.tls_timeout = 60ms;
  ClientUnderTest client(server.url("https"), options);
  const auto peer = "127.0.0.1:" + std::to_string(server.port());
  CHECK(client.send(get()).error().message ==
        "TLS to " + peer + ": the server doesn't speak TLS on this port");
  CHECK(client.send(get()).error().message.ends_with("during the handshake"));
  const auto error = client.send(get()).error();
  CHECK(error.kind == HttpErrorKind::tls);
  CHECK(error.message == "TLS to " + peer + ": no answer within 60 ms");
}

TEST_CASE("https: a body without a length needs TLS's own end") {
  TestCa ca;
  const Identity identity = ca.issue({"IP:127.0.0.1"});
  LoopbackServer server([&](Peer& peer, int nth) {
    peer.start_tls(identity);
    peer.read_request();
    peer.write("HTTP/1.1 200 OK\r\n\r\nwhole?");
    if (nth == 2) peer.cut();
  });
  ClientUnderTest client(server.url("https"), trusting(ca));
  CHECK(client.send(get()).value().body == "whole?");
  CHECK(client.send(get()).error().kind == HttpErrorKind::closed);
}

TEST_CASE("https: a large body both ways") {
  TestCa ca;
  const Identity identity = ca.issue({"IP:127.0.0.1"});
  const std::string big(3 * 1024 * 1024, 'z');
  LoopbackServer server([&](Peer& peer, int) {
    peer.start_tls(identity);
    const auto request = peer.read_request();
    peer.write(answer(std::string_view(request).substr(request.size() - big.size())));
    peer.wait_closed();
  });
  ClientUnderTest client(server.url("https"), trusting(ca));
  CHECK(client.send(post(big)).value().body == big);
}

TEST_CASE("https: a CA file that can't be used") {
  HttpOptions options;
  LoopbackServer server([](Peer& peer, int) { peer.wait_closed(); });
  const auto peer = "127.0.0.1:" + std::to_string(server.port());
  options.ca_file = "/nonexistent/ca.pem";
  ClientUnderTest missing(server.url("https"), options);
  CHECK(missing.send(get()).error().message ==
        "TLS to " + peer + ": CA file /nonexistent/ca.pem: no such file or directory");
  const TempFile empty;
  options.ca_file = empty.path();
  ClientUnderTest nothing(server.url("https"), options);
  CHECK(nothing.send(get()).error().message ==
        "TLS to " + peer + ": CA file " + empty.path() + ": holds no PEM certificate");
}

TEST_CASE("trust: a hashed directory before a bundle, and only where its links lead somewhere") {
  namespace fs = std::filesystem;
  const TempFile name;
  const fs::path root = name.path() + ".d";
  fs::create_directories(root / "etc/ssl/certs");
  fs::create_directories(root / "etc/pki/tls/certs");
  std::ofstream(root / "etc/pki/tls/certs/ca-bundle.crt") << "x";
  CHECK(find_system_trust(root).bundle == root / "etc/pki/tls/certs/ca-bundle.crt");
  fs::create_symlink(root / "nowhere", root / "etc/ssl/certs/5ed36f99.0");
  CHECK(find_system_trust(root).directory.empty());
  std::ofstream(root / "nowhere") << "x";
  CHECK(find_system_trust(root).directory == root / "etc/ssl/certs");
  fs::remove_all(root);
  CHECK(find_system_trust(root).directory.empty());
  CHECK(find_system_trust(root).bundle.empty());
}
