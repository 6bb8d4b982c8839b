#include "worker/settings.hpp"

#include <algorithm>

namespace sandbox_worker::worker {
namespace {

constexpr std::string_view kMayBeKey = "--environment-key";  // and no other flag

void refuse_key_in(std::string_view flag, std::string_view value) {
  if (flag != kMayBeKey && holds_key(value)) Settings::refuse_key(Settings::name_of(flag));
}

}  // namespace

const Option& Settings::option(std::string_view flag) {
  return *std::ranges::find(option_table(), flag, &Option::flag);
}

std::string Settings::name_of(std::string_view flag) {
  return fmt::format("{} ({})", option(flag).variable, flag);
}

void Settings::refuse_key(std::string_view name) {
  throw UsageError{fmt::format("{} holds what looks like a key; were two variables swapped?", name)};
}

std::string Settings::variable(std::string_view name) const {
  return value_of(environment_, name);
}

std::string Settings::text(std::string_view flag) const {
  const auto found = flags_.find(flag);
  std::string value = found != flags_.end() ? found->second.back() : variable(option(flag).variable);
  refuse_key_in(flag, value);
  return value;
}

std::vector<std::string> Settings::list(std::string_view flag) const {
  std::vector<std::string> values;
  if (const auto found = flags_.find(flag); found != flags_.end()) {
    values = found->second;
  } else {
    const std::string joined = variable(option(flag).variable);
    for (std::size_t begin = 0; begin < joined.size();) {
      const auto end = std::min(joined.find(':', begin), joined.size());
      if (end > begin) values.push_back(joined.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  for (const auto& value : values) refuse_key_in(flag, value);
  return values;
}

}  // namespace sandbox_worker::worker
