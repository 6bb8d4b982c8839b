#include "worker/client/request_head.hpp"

#include <doctest/doctest.h>

using namespace sandbox_worker::worker;
using sandbox_worker::protocol::Request;

namespace {

BaseUrl url(const char* text) {
  return BaseUrl::parse(text).value();
}

}  // namespace

TEST_CASE("request head: prefix, host, defaults, length") {
  const Request request{"POST", "/v1/x?y=z", {{"X-Own", "1"}}, "{}"};
  const Headers defaults{{"x-own", "0"}, {"X-Custom", "a b"}};
  CHECK(request_head(url("https://h:8443/p"), defaults, request, nullptr).value() ==
        "POST /p/v1/x?y=z HTTP/1.1\r\nHost: h:8443\r\nX-Custom: a b\r\nX-Own: 1\r\n"
        "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n");
}

TEST_CASE("request head: an empty POST says so, a GET says nothing") {
  CHECK(request_head(url("http://h"), {}, {"POST", "/", {}, ""}, nullptr).value() ==
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
  CHECK(request_head(url("http://[::1]"), {}, {"GET", "/", {}, ""}, nullptr).value() ==
        "GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n");
}

TEST_CASE("request head: a proxy for plain http is given the whole URL") {
  const Proxy proxy{"p", 3128, "Basic eA=="};
  CHECK(request_head(url("http://h:81/p"), {}, {"GET", "/x", {}, ""}, &proxy).value() ==
        "GET http://h:81/p/x HTTP/1.1\r\nHost: h:81\r\nProxy-Authorization: Basic eA==\r\n\r\n");
}

TEST_CASE("request head: nothing can add a header or a request of its own") {
  const auto error_of = [](const Request& request, const Headers& defaults = {}) {
    return request_head(url("http://h"), defaults, request, nullptr).error();
  };
  CHECK(error_of({"GET", "/", {{"X", "a\r\nY: b"}}, ""}) == "the value of header X has a control character");
  CHECK(error_of({"GET", "/", {}, ""}, {{"X", "a\nb"}}) == "the value of header X has a control character");
  CHECK(error_of({"GET", "/", {{"X: y", "a"}}, ""}) == "'X: y' is not a header name");
  CHECK(error_of({"GET", "/ HTTP/1.1\r\n", {}, ""}) == "the target is not an encoded path");
  CHECK(error_of({"GET", "x", {}, ""}) == "the target is not an encoded path");
  CHECK(error_of({"GET /", "/", {}, ""}) == "the method is not a word");
  CHECK(request_head(url("http://h"), {{"Content-Length", "5"}, {"host", "evil"}}, {"GET", "/", {}, ""},
                     nullptr)
            .value() == "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
}
