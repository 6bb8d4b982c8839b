#pragma once

#include <string>
#include <vector>

namespace sandbox_worker::tools {

/// The arguments or the environment of a program to be started, as exec wants them: valid as long as
/// `strings` is left alone.
inline std::vector<char*> pointers_to(std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (auto& string : strings) result.push_back(string.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace sandbox_worker::tools
