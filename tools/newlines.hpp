#pragma once

#include <cstddef>
#include <string_view>

namespace sandbox_worker::tools {

/// How many newlines `text` holds; at the speed of memory where the processor has wide vectors.
std::size_t count_newlines(std::string_view text);

}  // namespace sandbox_worker::tools
