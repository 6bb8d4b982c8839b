#include "worker/config.hpp"

namespace sandbox_worker::worker {

std::string value_of(const Environment& environment, std::string_view name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string() : found->second;
}

Environment environment_of(const char* const* environ) {
  Environment environment;
  for (; environ && *environ; ++environ) {
    const std::string_view entry = *environ;
    const auto equals = entry.find('=');
    if (equals != std::string_view::npos)
      environment.emplace(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return environment;
}

}  // namespace sandbox_worker::worker
