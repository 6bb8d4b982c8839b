#include "tools/character_class.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace sandbox_worker::tools {

int (*character_class(std::string_view name))(int) {
  static constexpr std::array<std::pair<std::string_view, int (*)(int)>, 12> kClasses{{
      {"alnum", std::isalnum},
      {"alpha", std::isalpha},
      {"blank", std::isblank},
      {"cntrl", std::iscntrl},
      {"digit", std::isdigit},
      {"graph", std::isgraph},
      {"lower", std::islower},
      {"print", std::isprint},
      {"punct", std::ispunct},
      {"space", std::isspace},
      {"upper", std::isupper},
      {"xdigit", std::isxdigit},
  }};
  const auto found = std::ranges::find(kClasses, name, &std::pair<std::string_view, int (*)(int)>::first);
  return found == kClasses.end() ? nullptr : found->second;
}

}  // namespace sandbox_worker::tools
