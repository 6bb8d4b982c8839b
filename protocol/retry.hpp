#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace sandbox_worker::protocol {

/// 408, 409, 425, 429 and 5xx pass; every other 4xx is fatal (wire.md#requests).
bool is_retryable(unsigned status);
inline bool is_success(unsigned status) {
  return status >= 200 && status < 300;
}
inline bool is_fatal(unsigned status) {
  return status >= 400 && status < 500 && !is_retryable(status);
}

/// What an answer's headers say about trying again; views into the response.
struct RetryHeaders {
  std::optional<std::string_view> retry_after_ms;
  std::optional<std::string_view> retry_after;   // seconds or an HTTP date
  std::optional<std::string_view> should_retry;  // x-should-retry
};

/// initial * 2^attempt, at most `max`, less up to 25 % by `random` in [0, 1).
std::chrono::milliseconds backoff(int attempt, std::chrono::milliseconds initial,
                                  std::chrono::milliseconds max, double random);

/// The wait that the server asks for, when it is at most 60 s. `now`: wall clock, for dates.
std::optional<std::chrono::milliseconds> requested_delay(const RetryHeaders& headers,
                                                         std::chrono::system_clock::time_point now);

/// x-should-retry when it is there, else the status decides. `status` 0: no answer.
bool should_retry(unsigned status, const RetryHeaders& headers);

}  // namespace sandbox_worker::protocol
