#include "worker/client/response_parser.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

using namespace sandbox_worker::worker;

namespace {

constexpr ResponseParser::Limits kLimits{.header_bytes = 1024, .body_bytes = 1000, .no_body = false};

/// Feeds pieces as a connection would: what was not used comes again with the next.
std::string outcome(const std::vector<std::string_view>& pieces, bool end,
                    ResponseParser::Limits limits = kLimits) {
  ResponseParser parser(limits);
  std::string waiting;
  for (const auto piece : pieces) {
    waiting += piece;
    const auto used = parser.feed(waiting);
    if (!used) return used.error().reason;
    waiting.erase(0, *used);
  }
  if (end) {
    if (const auto ended = parser.feed_end(); !ended) return ended.error().reason;
  }
  std::string text = std::to_string(parser.status) + " " + parser.reason;
  for (const auto& [name, value] : parser.headers) text += "|" + name + "=" + value;
  text += "|" + parser.body;
  text += parser.done() ? (parser.keep_alive() ? "|kept" : "|closed") : "|open";
  return text + (waiting.empty() ? "" : "|left:" + waiting);
}

}  // namespace

TEST_CASE("response parser: the same answer however it is cut") {
  struct Row {
    std::string wire;
    bool end;
    std::string expected;
  };
  const Row rows[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello", false,
       "200 OK|Content-Length=5|X=y|hello|kept"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: "
       "t\r\n\r\n",
       false, "200 OK|Transfer-Encoding=chunked|abcde|kept"},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
       false, "204 No Content||kept"},
      {"HTTP/1.1 200 OK\r\n\r\nto the end", true, "200 OK|to the end|closed"},
      {"HTTP/1.0 500 Oops\r\nContent-Length: 1\r\n\r\nx", false, "500 Oops|Content-Length=1|x|closed"},
      {"HTTP/1.1 302 Found\r\nLocation: /x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", false,
       "302 Found|Location=/x|Connection=close|Content-Length=0||closed"},
  };
  for (const auto& row : rows) {
    const std::string_view wire = row.wire;
    for (std::size_t cut = 0; cut <= wire.size(); ++cut) {
      CAPTURE(cut);
      CHECK(outcome({wire.substr(0, cut), wire.substr(cut)}, row.end) == row.expected);
    }
    std::vector<std::string_view> bytes;
    for (std::size_t i = 0; i < wire.size(); ++i) bytes.push_back(wire.substr(i, 1));
    CHECK(outcome(bytes, row.end) == row.expected);
  }
}

TEST_CASE("response parser: bytes behind the answer are left, and told") {
  CHECK(outcome({"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP"}, false) ==
        "200 OK|Content-Length=1|x|kept|left:HTTP");
}

TEST_CASE("response parser: limits") {
  const std::string big(2000, 'x');
  CHECK(outcome({"HTTP/1.1 200 OK\r\nX: " + big}, false) == "header of the answer is over 1 KiB");
  CHECK(outcome({"HTTP/1.1 200 OK\r\nX: " + big + "\r\n\r\n"}, false) ==
        "header of the answer is over 1 KiB");
  CHECK(outcome({"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n"}, false) ==
        "body of the answer is over 1000 bytes");
  CHECK(outcome({"HTTP/1.1 200 OK\r\n\r\n" + big}, false) == "body of the answer is over 1000 bytes");
  CHECK(outcome({"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" + big}, false) ==
        "body of the answer is over 1000 bytes");
  auto unlimited = kLimits;
  unlimited.body_bytes = std::nullopt;
  CHECK(outcome({"HTTP/1.1 200 OK\r\n\r\n" + big}, true, unlimited) == "200 OK|" + big + "|closed");
}

TEST_CASE("response parser: what is not HTTP/1.1, or not whole") {
  CHECK(outcome({"SSH-2.0-x\r\n\r\n"}, false).starts_with("answer is not HTTP/1.1"));
  CHECK(outcome({"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"}, false)
            .starts_with("answer is not HTTP/1.1"));
  CHECK(outcome({"HTTP/1.1 200 OK\r\nBad Name: 1\r\n\r\n"}, false).starts_with("answer is not HTTP/1.1"));
  CHECK(outcome({}, true) == "answer is not whole");
  CHECK(outcome({"HTTP/1.1 200 OK\r\nCont"}, true) == "answer is not whole");
  CHECK(outcome({"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"}, true) == "answer is not whole");
  CHECK(outcome({"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"}, true) ==
        "answer is not whole");
}

TEST_CASE("response parser: the answer to HEAD has no body") {
  auto limits = kLimits;
  limits.no_body = true;
  CHECK(outcome({"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"}, false, limits) ==
        "200 OK|Content-Length=5||kept");
}
