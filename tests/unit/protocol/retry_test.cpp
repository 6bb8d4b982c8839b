#include "protocol/retry.hpp"

#include <doctest/doctest.h>

using namespace sandbox_worker::protocol;
using namespace std::chrono_literals;

TEST_CASE("retry: which answers pass") {
  for (const unsigned status : {408U, 409U, 425U, 429U, 500U, 502U, 503U, 504U, 529U})
    CHECK(is_retryable(status));
  for (const unsigned status : {400U, 401U, 403U, 404U, 412U, 413U, 422U}) CHECK(is_fatal(status));
  CHECK_FALSE(is_fatal(200));
  CHECK_FALSE(is_fatal(503));
  CHECK(should_retry(0, {}));
  CHECK(should_retry(503, {}));
  CHECK_FALSE(should_retry(302, {}));
  CHECK_FALSE(should_retry(503, {{}, {}, "false"}));
  CHECK(should_retry(400, {{}, {}, "true"}));
}

TEST_CASE("retry: back-off doubles to its limit, less up to a quarter") {
  CHECK(backoff(0, 500ms, 8s, 0) == 500ms);
  CHECK(backoff(1, 500ms, 8s, 0) == 1s);
  CHECK(backoff(4, 500ms, 8s, 0) == 8s);
  CHECK(backoff(1000, 500ms, 8s, 0) == 8s);
  CHECK(backoff(0, 500ms, 8s, 0.999) == 375ms);
}

TEST_CASE("retry: the server's wish, when it is a sane one") {
  const auto now = std::chrono::system_clock::from_time_t(784111777);  // Sun, 06 Nov 1994 08:49:37 GMT
  CHECK(requested_delay({"250", {}, {}}, now) == 250ms);
  CHECK(requested_delay({"250", "9", {}}, now) == 250ms);
  CHECK(requested_delay({{}, "2", {}}, now) == 2s);
  CHECK(requested_delay({{}, "1.5", {}}, now) == 1500ms);
  CHECK(requested_delay({{}, "Sun, 06 Nov 1994 08:49:47 GMT", {}}, now) == 10s);
  for (const std::string_view odd :
       {"", "x", "-1", "0", "0.0009", "61", "nan", "inf", "1e9", "Sun, 06 Nov 1994 08:49:27 GMT",
        "Sun, 06 Nov 2094 08:49:27 GMT", "Sun"}) {
    CHECK_MESSAGE(!requested_delay({{}, odd, {}}, now), odd);
  }
}
