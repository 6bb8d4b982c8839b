#pragma once

#include <string_view>

namespace sandbox_worker::tools {

/// What `[:name:]` stands for in a set of a pattern, as a function of <cctype> that is meant for ASCII; null
/// for a name that means nothing.
int (*character_class(std::string_view name))(int);

}  // namespace sandbox_worker::tools
