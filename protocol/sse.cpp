#include "protocol/sse.hpp"

#include <utility>

namespace sandbox_worker::protocol {

void SseDecoder::feed(std::string_view bytes, const std::function<void(SseEvent)>& on_event) {
  while (!bytes.empty()) {
    if (std::exchange(after_cr_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    const auto end = bytes.find_first_of("\r\n");
    take(bytes.substr(0, end));
    if (end == std::string_view::npos) return;
    after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    end_line(on_event);
  }
}

void SseDecoder::take(std::string_view part) {
  event_bytes_ += part.size();
  if (event_bytes_ > max_event_bytes_ && !oversized_) {
    oversized_ = true;
    has_data_ = has_data_ || line_.starts_with("data");
    data_ = {};
    line_ = {};
  }
  // The rest of an oversized event is only scanned for the empty line that ends it; one byte tells empty from
  // not.
  if (oversized_) {
    if (line_.empty() && !part.empty()) {
      line_.push_back(part.front());
      has_data_ = has_data_ || part.starts_with("data");
    }
    return;
  }
  line_.append(part);
}

void SseDecoder::end_line(const std::function<void(SseEvent)>& on_event) {
  std::string_view line = line_;
  if (std::exchange(at_start_, false) && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
  if (line.empty()) {
    dispatch(on_event);
  } else if (!oversized_) {
    add_field(line);
  }
  line_.clear();
}

void SseDecoder::add_field(std::string_view line) {
  const auto colon = line.find(':');
  const auto field = line.substr(0, colon);
  std::string_view value;
  if (colon != std::string_view::npos) {
    value = line.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
  }
  if (field == "data") {
    if (has_data_) data_.push_back('\n');
    has_data_ = true;
    data_.append(value);
  } else if (field == "event") {
    name_ = value;
  }
}

void SseDecoder::dispatch(const std::function<void(SseEvent)>& on_event) {
  SseEvent event;
  event.name = std::exchange(name_, {});
  event.data = std::exchange(data_, {});
  event.oversized = std::exchange(oversized_, false);
  event.size = std::exchange(event_bytes_, 0);
  if (std::exchange(has_data_, false) || event.oversized) on_event(std::move(event));
}

}  // namespace sandbox_worker::protocol
