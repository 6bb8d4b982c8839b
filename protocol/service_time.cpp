#include "protocol/service_time.hpp"

#include <fmt/format.h>

namespace sandbox_worker::protocol {

using namespace std::chrono;

namespace {

/// Takes the text apart from its beginning. Once something was not as it should be, nothing is any more.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  int digits(std::size_t count, int least, int most) {
    int value = 0;
    for (std::size_t i = 0; i < count; ++i) value = value * 10 + digit();
    if (value < least || value > most) good_ = false;
    return value;
  }
  void one_of(std::string_view allowed) {
    if (text_.empty() || !allowed.contains(text_.front())) good_ = false;
    skip();
  }
  bool at(char c) const { return !text_.empty() && text_.front() == c; }
  bool at_digit() const { return !text_.empty() && text_.front() >= '0' && text_.front() <= '9'; }
  void skip() {
    if (!text_.empty()) text_.remove_prefix(1);
  }
  bool ended_well() const { return good_ && text_.empty(); }

 private:
  int digit() {
    const bool there = at_digit();
    const int value = there ? text_.front() - '0' : 0;
    good_ = good_ && there;
    skip();
    return value;
  }

  std::string_view text_;
  bool good_ = true;
};

microseconds fraction(Reader& reader) {
  if (!reader.at('.')) return microseconds(0);
  reader.skip();
  int micros = reader.digits(1, 0, 9);
  int places = 1;
  for (; reader.at_digit(); ++places) {
    const int next = reader.digits(1, 0, 9);
    if (places < 6) micros = micros * 10 + next;
  }
  for (; places < 6; ++places) micros *= 10;
  return microseconds(micros);
}

minutes offset(Reader& reader) {
  if (reader.at('Z') || reader.at('z')) {
    reader.skip();
    return minutes(0);
  }
  const int sign = reader.at('-') ? -1 : 1;
  reader.one_of("+-");
  const hours h(reader.digits(2, 0, 23));
  reader.one_of(":");
  const minutes m(reader.digits(2, 0, 59));
  return sign * (h + m);
}

}  // namespace

std::optional<ServiceTime> parse_service_time(std::string_view text) {
  Reader reader(text);
  const int y = reader.digits(4, 1, 9999);
  reader.one_of("-");
  const int mon = reader.digits(2, 1, 12);
  reader.one_of("-");
  const int d = reader.digits(2, 1, 31);
  reader.one_of("Tt");
  const hours h(reader.digits(2, 0, 23));
  reader.one_of(":");
  const minutes m(reader.digits(2, 0, 59));
  reader.one_of(":");
  const seconds s(reader.digits(2, 0, 59));
  const auto part = fraction(reader);
  const auto ahead = offset(reader);
  const year_month_day date{year(y), month(static_cast<unsigned>(mon)), day(static_cast<unsigned>(d))};
  if (!reader.ended_well() || !date.ok()) return std::nullopt;
  return sys_days(date) + h + m + s + part - ahead;
}

std::string format_service_time(ServiceTime time) {
  const auto midnight = floor<days>(time);
  const year_month_day date(midnight);
  const hh_mm_ss clock(time - midnight);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

}  // namespace sandbox_worker::protocol
