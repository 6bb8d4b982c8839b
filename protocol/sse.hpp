#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace sandbox_worker::protocol {

struct SseEvent {
  std::string name;  // empty when the stream gave none
  std::string data;  // lines joined by \n
  /// The event was larger than the limit: `data` is empty and `size` says how much was dropped.
  bool oversized = false;
  std::size_t size = 0;
};

/// Server-sent events out of bytes that may be cut anywhere; lines end in LF, CRLF or CR. Comments, ids and
/// retry fields carry nothing here, and an event without data is not an event (the HTML standard's rules).
/// Memory: at most `max_event_bytes` and a line's name.
class SseDecoder {
 public:
  explicit SseDecoder(std::size_t max_event_bytes) : max_event_bytes_(max_event_bytes) {}

  /// `on_event` is called for each event that `bytes` completes, in order.
  void feed(std::string_view bytes, const std::function<void(SseEvent)>& on_event);

 private:
  void take(std::string_view part);
  void end_line(const std::function<void(SseEvent)>& on_event);
  void add_field(std::string_view line);
  void dispatch(const std::function<void(SseEvent)>& on_event);

  const std::size_t max_event_bytes_;
  std::string line_;
  std::string name_;
  std::string data_;
  std::size_t event_bytes_ = 0;  // of the lines of this event, also of those dropped
  bool has_data_ = false;
  bool oversized_ = false;
  bool after_cr_ = false;
  bool at_start_ = true;
};

}  // namespace sandbox_worker::protocol
