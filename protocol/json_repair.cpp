#include "protocol/json_repair.hpp"

#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

namespace sandbox_worker::protocol {
namespace {

constexpr std::string_view kReplacement = "\\ufffd";

bool is_high(unsigned unit) {
  return unit >= 0xd800 && unit < 0xdc00;
}
bool is_low(unsigned unit) {
  return unit >= 0xdc00 && unit < 0xe000;
}

/// The value of an escape `\uXXXX` at the beginning of `text`.
std::optional<unsigned> unicode_escape(std::string_view text) {
  if (!text.starts_with("\\u") || text.size() < 6) return std::nullopt;
  unsigned value = 0;
  for (const char c : text.substr(2, 4)) {
    const auto digit = std::string_view("0123456789abcdef").find(static_cast<char>(c | 0x20));
    if (digit == std::string_view::npos) return std::nullopt;
    value = value * 16 + static_cast<unsigned>(digit);
  }
  return value;
}

/// With bytes that are no UTF-8 replaced; none of `bytes` is ASCII.
std::string valid_utf8(std::string_view bytes) {
  auto quoted = nlohmann::json(bytes).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return quoted.substr(1, quoted.size() - 2);
}

class Repair {
 public:
  explicit Repair(std::string_view text) : rest_(text) {}

  RepairedJson run() {
    while (!rest_.empty()) {
      if (in_string_) {
        step_in_string();
      } else {
        step();
      }
    }
    return {std::move(out_), fault_};
  }

 private:
  void copy(std::size_t count) {
    out_ += rest_.substr(0, count);
    rest_.remove_prefix(std::min(count, rest_.size()));
  }

  void step() {
    constexpr std::string_view kNumber = "+-.0123456789eE";
    const char c = rest_.front();
    if (c == '-' || (c >= '0' && c <= '9')) {
      const std::string number(rest_.substr(0, rest_.find_first_not_of(kNumber)));
      const bool too_large = std::isinf(std::strtod(number.c_str(), nullptr));
      if (too_large) fault_ = "a number that is too large";
      if (too_large) out_ += '"';
      copy(number.size());
      if (too_large) out_ += '"';
      return;
    }
    in_string_ = c == '"';
    copy(1);
  }

  void step_in_string() {
    const char c = rest_.front();
    if (c == '"') {
      in_string_ = false;
      copy(1);
    } else if (c == '\\') {
      step_escape();
    } else if (static_cast<unsigned char>(c) >= 0x80) {
      step_non_ascii();
    } else {
      copy(1);
    }
  }

  void step_escape() {
    const auto unit = unicode_escape(rest_);
    if (!unit) return copy(2);
    if (is_high(*unit) && is_low(unicode_escape(rest_.substr(6)).value_or(0))) return copy(12);
    if (!is_high(*unit) && !is_low(*unit)) return copy(6);
    fault_ = "half a surrogate pair, which is no character";
    out_ += kReplacement;
    rest_.remove_prefix(6);
  }

  void step_non_ascii() {
    std::size_t size = 0;
    while (size < rest_.size() && static_cast<unsigned char>(rest_[size]) >= 0x80) ++size;
    const auto bytes = rest_.substr(0, size);
    const auto valid = valid_utf8(bytes);
    if (valid != bytes) fault_ = "bytes that are not UTF-8";
    out_ += valid;
    rest_.remove_prefix(size);
  }

  std::string_view rest_;
  std::string out_;
  const char* fault_ = nullptr;
  bool in_string_ = false;
};

}  // namespace

RepairedJson repair_json(std::string_view text) {
  return Repair(text).run();
}

}  // namespace sandbox_worker::protocol
