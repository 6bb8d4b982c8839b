#pragma once

#include <fmt/format.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/config.hpp"
#include "worker/key_shape.hpp"
#include "worker/option_table.hpp"

namespace sandbox_worker::worker {

/// A sentence for the operator that names the variable and the flag.
struct UsageError {
  std::string text;
};

/// A value, and the name by which it was given, for messages.
template <class T>
struct Found {
  T value;
  std::string name;
};

/// The values that flags, variables and foreign names give, before they are understood. A key in the place of
/// anything else is refused.
class Settings {
 public:
  using Flags = std::map<std::string, std::vector<std::string>, std::less<>>;

  Settings(Flags flags, const Environment& environment)
      : flags_(std::move(flags)), environment_(environment) {}

  /// The flag's value, else the variable's; an empty variable counts as absent.
  std::string text(std::string_view flag) const;
  /// Of a flag that may be repeated; a variable has colons between the values.
  std::vector<std::string> list(std::string_view flag) const;
  bool has_flag(std::string_view flag) const { return flags_.contains(flag); }
  std::string variable(std::string_view name) const;

  /// `understand(text, form)` gives nothing for a malformed value: an error in a name of ours, a warning in
  /// another's, and then the next name counts.
  template <class T, class Understand>
  Found<T> find(std::string_view flag, T fallback, std::string_view expected, Understand understand) {
    const Option& entry = option(flag);
    if (const auto own = text(flag); !own.empty() || has_flag(flag)) {
      if (const std::optional<T> found = understand(own, Form::as_ours)) return {*found, name_of(flag)};
      throw UsageError{fmt::format("{}: {} is not {}", name_of(flag), shown(own), expected)};
    }
    for (const ForeignName& name : entry.foreign) {
      const auto found = environment_.find(name.name);
      if (found == environment_.end() || (found->second.empty() && name.form != Form::seconds_or_off))
        continue;
      const std::string& value = found->second;
      const std::optional<T> understood = holds_key(value) ? std::nullopt : understand(value, name.form);
      if (understood) return {*understood, std::string(name.name)};
      warnings_.push_back(fmt::format("{}: {} is not {}; ignored", name.name, shown(value), expected));
    }
    return {std::move(fallback), name_of(flag)};
  }
  template <class T, class Understand>
  T value(std::string_view flag, T fallback, std::string_view expected, Understand understand) {
    return find(flag, std::move(fallback), expected, understand).value;
  }

  [[noreturn]] static void refuse_key(std::string_view name);
  void warn(std::string warning) { warnings_.push_back(std::move(warning)); }
  std::vector<std::string> take_warnings() { return std::move(warnings_); }

  static const Option& option(std::string_view flag);
  /// `VARIABLE (--flag)`
  static std::string name_of(std::string_view flag);

 private:
  const Flags flags_;
  const Environment& environment_;
  std::vector<std::string> warnings_;
};

}  // namespace sandbox_worker::worker
