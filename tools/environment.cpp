#include "tools/environment.hpp"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <string_view>

namespace sandbox_worker::tools {
namespace {

std::string_view name_of(std::string_view entry) {
  return entry.substr(0, entry.find('='));
}

bool has_prefix_of_any_case(std::string_view name, std::string_view prefix) {
  if (name.size() < prefix.size()) return false;
  return std::equal(prefix.begin(), prefix.end(), name.begin(), [](char expected, char letter) {
    return std::toupper(static_cast<unsigned char>(letter)) == expected;
  });
}

void put(Environment& environment, std::string entry) {
  const std::string_view name = name_of(entry);
  std::erase_if(environment, [&](const std::string& other) { return name_of(other) == name; });
  environment.push_back(std::move(entry));
}

}  // namespace

bool is_private_variable(std::string_view name) {
  return has_prefix_of_any_case(name, "ANTHROPIC_") || has_prefix_of_any_case(name, "SANDBOX_WORKER_");
}

Environment command_environment(const Environment& own, const EnvironmentOptions& options) {
  Environment environment;
  for (const auto& entry : own)
    if (!is_private_variable(name_of(entry))) environment.push_back(entry);
  for (const char* entry :
       {"TERM=dumb", "PAGER=cat", "GIT_PAGER=cat", "GIT_TERMINAL_PROMPT=0", "DEBIAN_FRONTEND=noninteractive"})
    put(environment, entry);
  if (!options.ca_file.empty())
    for (const char* name :
         {"SSL_CERT_FILE", "GIT_SSL_CAINFO", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"})
      put(environment, std::string(name) + "=" + options.ca_file);
  for (const auto& entry : options.extra) put(environment, entry);
  return environment;
}

std::optional<std::string_view> value_of(const Environment& environment, std::string_view name) {
  const auto found = std::ranges::find(environment, name, name_of);
  if (found == environment.end()) return std::nullopt;
  return std::string_view(*found).substr(std::min(name.size() + 1, found->size()));
}

Environment process_environment() {
  Environment environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry)
    environment.emplace_back(*entry);
  return environment;
}

}  // namespace sandbox_worker::tools
