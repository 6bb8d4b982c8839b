#pragma once

#include <span>
#include <string_view>

namespace sandbox_worker::worker {

/// How a name that another program's integration sets writes its value.
enum class Form { as_ours, seconds, seconds_or_off, milliseconds, debug_switch, directory };

struct ForeignName {
  std::string_view name;
  Form form = Form::as_ours;
};

/// One thing that can be set: by its flag, then its own variable, then the names that today's integrations
/// use (wire.md#start), in their order.
struct Option {
  std::string_view flag;
  std::string_view variable;  // ours or the contract's: a malformed value is an error; empty: flag only
  std::span<const ForeignName> foreign;  // a malformed value is warned about and ignored
  std::string_view value_name;           // empty: a switch
  std::string_view help;
};

std::span<const Option> option_table();

}  // namespace sandbox_worker::worker
