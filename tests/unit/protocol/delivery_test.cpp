#include "protocol/delivery.hpp"

#include <doctest/doctest.h>

using namespace sandbox_worker::protocol;
using namespace std::chrono_literals;
using Next = Delivery::Next;

namespace {

const Delivery::TimePoint t0 = Delivery::TimePoint() + 1000h;

PostFailure status(unsigned code) {
  const bool fatal = code >= 400 && code < 500 && code != 408 && code != 409 && code != 425 && code != 429;
  return {code, fatal, false, std::nullopt};
}
PostFailure lost() {
  return {0, false, true, std::nullopt};
}
PostFailure not_sent() {
  return {0, false, false, std::nullopt};
}

}  // namespace

TEST_CASE("delivery: what passes is sent again, later each time, 30 s apart at most") {
  Delivery delivery(t0);
  CHECK(delivery.due() == t0);
  const std::chrono::milliseconds delays[] = {1s, 2s, 4s, 8s, 16s, 30s, 30s};
  for (const auto delay : delays) {
    CHECK(delivery.on_failure(status(429), false, t0, 0) == Next::again);
    CHECK(delivery.due() == t0 + delay);
    CHECK_FALSE(delivery.must_check());
  }
  CHECK(delivery.on_failure(status(429), false, t0, 0.99) == Next::again);
  CHECK(delivery.due() < t0 + 23s);
}

TEST_CASE("delivery: what a worker before may have sent is looked for first, when it can have arrived") {
  auto delivery = Delivery::maybe_sent(t0);
  CHECK(delivery.must_check());
  CHECK(delivery.due() >= t0 + 1400ms);
  delivery.hurry(t0);
  CHECK(delivery.due() >= t0 + 1400ms);
  CHECK(delivery.on_unanswered() == Next::again);
}

TEST_CASE("delivery: which failures leave it open whether the result arrived") {
  struct Row {
    PostFailure failure;
    bool unsure;
  };
  const Row rows[] = {
      {not_sent(), false},
      {lost(), true},
      {status(408), true},
      {status(409), true},
      {status(425), false},
      {status(429), false},
      {status(500), true},
      {status(503), true},
      {status(504), true},
      {status(529), true},
      {{200, false, true, std::nullopt}, true},
  };
  for (const auto& row : rows) {
    CAPTURE(row.failure.status);
    Delivery delivery(t0);
    CHECK(delivery.on_failure(row.failure, false, t0, 0.5) == Next::again);
    CHECK(delivery.must_check() == row.unsure);
    if (!row.unsure) continue;
    // By then a late arrival within a second is seen.
    CHECK(delivery.due() >= t0 + 1400ms);
    CHECK(delivery.on_unanswered() == Next::again);
    // What was unsure once may always arrive.
    delivery.on_failure(status(429), false, t0, 0);
    CHECK(delivery.must_check());
  }
}

TEST_CASE("delivery: the service's wish takes the place of the delay, but not of the safe distance") {
  auto failure = status(429);
  failure.retry_after = 7s;
  Delivery delivery(t0);
  delivery.on_failure(failure, false, t0, 0);
  CHECK(delivery.due() == t0 + 7s);
  failure = status(503);
  failure.retry_after = 0s;
  delivery.on_failure(failure, false, t0, 0);
  CHECK(delivery.due() > t0 + 1s);
}

TEST_CASE("delivery: a refused result is replaced once, when its call is unanswered") {
  for (const unsigned code : {400U, 413U, 422U}) {
    Delivery delivery(t0);
    CHECK(delivery.on_failure(status(code), false, t0, 0) == Next::again);
    CHECK(delivery.must_check());
    CHECK(delivery.due() == t0);
    CHECK(delivery.refused_with() == code);
    CHECK(delivery.on_unanswered() == Next::replace);
    CHECK_FALSE(delivery.must_check());
    CHECK(delivery.on_failure(status(code), false, t0, 0) == Next::give_up);
  }
}

TEST_CASE("delivery: a refused request of several is sent again one by one, nothing replaced yet") {
  Delivery delivery(t0);
  CHECK(delivery.on_failure(status(400), true, t0, 0) == Next::again);
  CHECK(delivery.alone());
  CHECK(delivery.due() == t0);
  CHECK_FALSE(delivery.must_check());
  CHECK(delivery.on_failure(status(400), false, t0, 0) == Next::again);
  CHECK(delivery.on_unanswered() == Next::replace);
}

TEST_CASE("delivery: whatever is fatal for several at once is so for one of them, perhaps") {
  for (const unsigned code : {401U, 403U, 404U, 410U, 422U}) {
    CAPTURE(code);
    Delivery delivery(t0);
    CHECK(delivery.on_failure(status(code), true, t0, 0) == Next::again);
    CHECK(delivery.alone());
    CHECK(delivery.due() == t0);
  }
  Delivery delivery(t0);  // a 503 of which the service says that it isn't to be tried again
  CHECK(delivery.on_failure({503, true, false, std::nullopt}, true, t0, 0) == Next::again);
  CHECK(delivery.must_check());
  CHECK(delivery.due() >= t0 + 1400ms);
}

TEST_CASE("delivery: other fatal answers end it; a 400 that the service wants to see again does not") {
  for (const unsigned code : {401U, 403U, 404U, 410U}) {
    Delivery delivery(t0);
    CHECK(delivery.on_failure(status(code), false, t0, 0) == Next::give_up);
  }
  Delivery delivery(t0);
  CHECK(delivery.on_failure({400, false, false, std::nullopt}, false, t0, 0) == Next::again);
  CHECK(delivery.due() == t0 + 1s);
}

TEST_CASE(
    "delivery: a refusal after an unsure attempt is looked up first, and so is what can't be looked up") {
  Delivery delivery(t0);
  delivery.on_failure(lost(), false, t0, 0);
  delivery.on_unanswered();
  delivery.on_failure(status(400), false, t0 + 2s, 0);
  CHECK(delivery.must_check());
  CHECK(delivery.refused_with() == 400);
  delivery.on_unchecked(std::nullopt, t0 + 3s, 0);
  CHECK(delivery.must_check());
  CHECK(delivery.due() == t0 + 5s);
}

TEST_CASE("delivery: in a hurry it waits only for what may still be on its way") {
  Delivery sure(t0);
  for (int i = 0; i < 5; ++i) sure.on_failure(status(429), false, t0, 0);
  sure.hurry(t0 + 100ms);
  CHECK(sure.due() == t0 + 100ms);
  Delivery unsure(t0);
  for (int i = 0; i < 5; ++i) unsure.on_failure(lost(), false, t0, 0);
  unsure.hurry(t0 + 100ms);
  CHECK(unsure.due() > t0 + 1s);
  CHECK(unsure.due() < t0 + 2s);
}
