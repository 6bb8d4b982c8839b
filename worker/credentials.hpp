#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace sandbox_worker::worker {

/// Where a bearer may come from; empty: not given.
struct CredentialSources {
  std::string key;          // value of the flag or the variable
  std::string key_file;     // path
  std::string secret;       // base64 text
  std::string secret_file;  // path
};

struct Credentials {
  std::string token;         // the bearer of every call; never empty
  std::string api_base_url;  // what the secret says; empty: nothing
  std::string secret_name;   // where the secret was given, for messages
  std::vector<std::string> warnings;
};

/// wire.md#start: a secret's token wins over the key. Errors name the variable and the flag, never a value.
std::expected<Credentials, std::string> load_credentials(const CredentialSources& sources);

/// A file that holds a secret: regular, not readable by others, not empty; white space around it is trimmed.
/// The error repeats the path only when it is absolute: another one may be the secret itself.
std::expected<std::string, std::string> read_secret_file(const std::string& path, std::string_view named);

}  // namespace sandbox_worker::worker
