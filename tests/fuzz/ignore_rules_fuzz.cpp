// What precedes the first NUL is an ignore file, the rest a path.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tools/git_excludes.hpp"
#include "tools/ignore_rules.hpp"

using namespace sandbox_worker::tools;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view text = input.substr(0, input.find('\0'));
  const std::string_view path = input.substr(text.size());
  excludes_file_of(text, [](std::string path) { return path; });
  IgnoreRoom room;
  const auto rules = IgnoreRules::parse(text, room);
  rules.decide(path, path.substr(path.rfind('/') + 1), false);
  rules.decide(path, path.substr(path.rfind('/') + 1), true);
  return 0;
}
