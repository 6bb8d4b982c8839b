// The first line is a pattern, the rest a path: any bytes must give an error or an answer, and a cursor that
// enters the path's directory must agree with the whole.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "tools/glob_pattern.hpp"

using namespace sandbox_worker::tools;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto newline = input.find('\n');
  if (newline == std::string_view::npos) return 0;
  const auto pattern = GlobPattern::compile(input.substr(0, newline));
  if (!pattern) return 0;
  const std::string_view path = input.substr(newline + 1);
  const auto slash = path.rfind('/') + 1;
  GlobCursor cursor(*pattern);
  cursor.enter(path.substr(0, slash));
  if (cursor.matches(path.substr(slash)) != pattern->matches(path)) std::abort();
  return 0;
}
