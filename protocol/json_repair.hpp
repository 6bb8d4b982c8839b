#pragma once

#include <string>
#include <string_view>

namespace sandbox_worker::protocol {

/// JSON that others write and read, and our parser refuses: half a surrogate pair as an escape, a number past
/// the range of a double, bytes that aren't UTF-8.
struct RepairedJson {
  std::string text;   // each of these replaced by U+FFFD, or by a string of the number
  const char* fault;  // what was wrong, as in "the input has …"; null: none of these
};

/// Of any bytes; what else is wrong with them stays so.
RepairedJson repair_json(std::string_view text);

}  // namespace sandbox_worker::protocol
