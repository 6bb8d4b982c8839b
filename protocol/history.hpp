#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/event.hpp"
#include "protocol/result.hpp"

namespace sandbox_worker::protocol {

/// Events out of one history page (wire.md#history), as its bytes arrive, cut anywhere. Only the event that
/// is arriving is held, so that a page may have any size: memory is at most `max_event_bytes`. A malformed or
/// oversized event is told to `on_skipped` and the page goes on; only a page that isn't the object of wire.md
/// is an error.
class HistoryPageReader {
 public:
  struct Sinks {
    std::function<void(TimedEvent)> on_event;
    std::function<void(std::string)> on_skipped;  // why, one sentence
  };

  HistoryPageReader(std::size_t max_event_bytes, Sinks sinks);

  /// False once the page can't be understood; finish() tells why.
  bool feed(std::string_view bytes);

  /// The page's `next_page`, or nothing at the last one.
  Result<std::optional<std::string>> finish();

 private:
  enum class Place {
    start,
    before_key,
    key,
    after_key,
    before_value,
    value,
    after_value,
    elements,
    end,
    broken
  };

  void step(char c);
  void begin_value(char c);
  bool in_value(char c);
  void end_value();
  void keep(char c);

  const std::size_t max_event_bytes_;
  const Sinks sinks_;
  Place place_ = Place::start;
  std::string key_;
  std::string value_;  // of the member or element that is arriving, cut at its limit
  std::size_t value_limit_ = 0;
  std::size_t value_size_ = 0;
  std::size_t depth_ = 0;  // of open brackets inside the value
  bool in_string_ = false;
  bool escaped_ = false;
  bool in_data_ = false;
  bool scalar_ = false;
  bool seen_data_ = false;
  std::optional<std::string> next_page_;
};

}  // namespace sandbox_worker::protocol
