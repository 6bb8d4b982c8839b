#include "protocol/retry.hpp"

#include <time.h>

#include <algorithm>
#include <charconv>
#include <string>

namespace sandbox_worker::protocol {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

namespace {

/// A longer wish is not obeyed: the lease is worth more.
constexpr milliseconds kMaxRequestedDelay = 60s;

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> milliseconds_until(std::string_view http_date,
                                         std::chrono::system_clock::time_point now) {
  tm parts{};
  const std::string text(http_date);
  const char* end = strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (!end || *end != '\0') return std::nullopt;
  const auto when = std::chrono::system_clock::from_time_t(timegm(&parts));
  return std::chrono::duration<double, std::milli>(when - now).count();
}

}  // namespace

bool is_retryable(unsigned status) {
  return status == 408 || status == 409 || status == 425 || status == 429 || status >= 500;
}

milliseconds backoff(int attempt, milliseconds initial, milliseconds max, double random) {
  const auto whole = std::min<milliseconds>(max, initial * (1LL << std::clamp(attempt, 0, 20)));
  return milliseconds(static_cast<milliseconds::rep>(static_cast<double>(whole.count()) * (1 - random / 4)));
}

std::optional<milliseconds> requested_delay(const RetryHeaders& headers,
                                            std::chrono::system_clock::time_point now) {
  std::optional<double> delay;
  if (headers.retry_after_ms) delay = number(*headers.retry_after_ms);
  if (!delay && headers.retry_after) {
    if (const auto seconds = number(*headers.retry_after)) {
      delay = *seconds * 1000;
    } else {
      delay = milliseconds_until(*headers.retry_after, now);
    }
  }
  // Nor is none at all: whoever is busy for a while would be asked without a pause.
  if (!delay || !(*delay >= 1) || *delay > static_cast<double>(kMaxRequestedDelay.count()))
    return std::nullopt;
  return milliseconds(static_cast<milliseconds::rep>(*delay));
}

bool should_retry(unsigned status, const RetryHeaders& headers) {
  if (headers.should_retry == "true") return true;
  if (headers.should_retry == "false") return false;
  return status == 0 || is_retryable(status);
}

}  // namespace sandbox_worker::protocol
