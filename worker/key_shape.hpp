#pragma once

#include <string>
#include <string_view>

namespace sandbox_worker::worker {

/// The service's keys have `sk-ant-` or `whsec_` in them. One that stands where something else belongs, as
/// when two variables were swapped, must not get into a URL, a file name or a line of the log.
bool holds_key(std::string_view value);

/// For a message: `'value'`, on one line and cut; a value in which a key may stand isn't repeated.
std::string shown(std::string_view value);

}  // namespace sandbox_worker::worker
