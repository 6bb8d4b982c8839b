#include "protocol/history.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

namespace sandbox_worker::protocol {
namespace {

/// Members beside `data` are short; a longer one is not kept.
constexpr std::size_t kMaxMemberBytes = 64 * 1024;

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

}  // namespace

HistoryPageReader::HistoryPageReader(std::size_t max_event_bytes, Sinks sinks)
    : max_event_bytes_(max_event_bytes), sinks_(std::move(sinks)) {}

bool HistoryPageReader::feed(std::string_view bytes) {
  for (const char c : bytes) step(c);
  return place_ != Place::broken;
}

void HistoryPageReader::step(char c) {
  if (place_ == Place::value) {
    if (in_value(c)) return;
    end_value();  // c is the byte after a scalar: it is looked at below
  }
  if (place_ == Place::key) {
    if (escaped_) {
      escaped_ = false;
    } else if (c == '\\') {
      escaped_ = true;
    } else if (c == '"') {
      place_ = Place::after_key;
      return;
    }
    if (key_.size() < kMaxIdBytes) key_.push_back(c);
    return;
  }
  if (is_space(c) || place_ == Place::broken) return;
  switch (place_) {
    case Place::start:
      place_ = c == '{' ? Place::before_key : Place::broken;
      break;
    case Place::before_key:
      if (c == '"') key_.clear();
      place_ = c == '"' ? Place::key : c == '}' ? Place::end : Place::broken;
      break;
    case Place::after_key:
      place_ = c == ':' ? Place::before_value : Place::broken;
      break;
    case Place::before_value:
      if (key_ == "data" && c == '[') {
        in_data_ = seen_data_ = true;
        place_ = Place::elements;
      } else {
        begin_value(c);
      }
      break;
    case Place::elements:
      if (c == ']') {
        in_data_ = false;
        place_ = Place::after_value;
      } else {
        begin_value(c);
      }
      break;
    case Place::after_value:
      if (in_data_) {
        in_data_ = c != ']';
        place_ = c == ',' ? Place::elements : c == ']' ? Place::after_value : Place::broken;
      } else {
        place_ = c == ',' ? Place::before_key : c == '}' ? Place::end : Place::broken;
      }
      break;
    default:
      place_ = Place::broken;  // bytes after the object
  }
}

void HistoryPageReader::begin_value(char c) {
  value_.clear();
  value_size_ = 0;
  value_limit_ = in_data_ ? max_event_bytes_ : kMaxMemberBytes;
  depth_ = 0;
  in_string_ = escaped_ = false;
  scalar_ = c != '{' && c != '[' && c != '"';
  place_ = c == ',' || c == ']' || c == '}' || c == ':' ? Place::broken : Place::value;
  if (place_ == Place::value) in_value(c);
}

/// True when `c` belongs to the value. Whether the value is valid JSON is for its parser to say; here it only
/// has to end where a valid one would.
bool HistoryPageReader::in_value(char c) {
  if (in_string_) {
    keep(c);
    if (escaped_) {
      escaped_ = false;
    } else if (c == '\\') {
      escaped_ = true;
    } else if (c == '"') {
      in_string_ = false;
      if (depth_ == 0) end_value();
    }
    return true;
  }
  if (scalar_ && (c == ',' || c == ']' || c == '}' || is_space(c))) return false;
  keep(c);
  if (c == '"') {
    in_string_ = true;
  } else if (c == '{' || c == '[') {
    ++depth_;
  } else if ((c == '}' || c == ']') && --depth_ == 0) {
    end_value();
  }
  return true;
}

void HistoryPageReader::keep(char c) {
  ++value_size_;
  if (value_size_ <= value_limit_) value_.push_back(c);
}

void HistoryPageReader::end_value() {
  place_ = Place::after_value;
  const bool whole = value_size_ <= value_limit_;
  if (in_data_) {
    if (!whole) {
      sinks_.on_skipped(fmt::format("event of {} bytes in the history is over the limit", value_size_));
    } else if (auto event = parse_event(value_)) {
      sinks_.on_event(std::move(*event));
    } else {
      sinks_.on_skipped("malformed event in the history: " + event.error().message);
    }
    // A rare huge event must not hold its memory for the rest of the page.
    if (value_.capacity() > kMaxMemberBytes) value_ = {};
  } else if (key_ == "next_page") {
    const auto page = nlohmann::json::parse(value_, nullptr, false);
    if (page.is_string()) next_page_ = page.get<std::string>();
    if (!whole || !(page.is_string() || page.is_null())) place_ = Place::broken;
  }
}

Result<std::optional<std::string>> HistoryPageReader::finish() {
  if (place_ != Place::end || !seen_data_)
    return std::unexpected(DecodeError{"history page is not what it should be"});
  return std::exchange(next_page_, std::nullopt);
}

}  // namespace sandbox_worker::protocol
