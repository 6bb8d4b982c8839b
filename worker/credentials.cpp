#include "worker/credentials.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "protocol/work.hpp"
#include "tools/unique_fd.hpp"
#include "worker/trim.hpp"

namespace sandbox_worker::worker {
namespace {

constexpr std::size_t kMaxSecretBytes = 64 * 1024;

/// Both alphabets, padding optional (wire.md#start).
std::optional<std::string> decode_base64(std::string_view text) {
  text = trim(text);
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string standard(text);
  std::ranges::replace(standard, '-', '+');
  std::ranges::replace(standard, '_', '/');
  const std::size_t padding = (4 - standard.size() % 4) % 4;
  if (padding == 3 || standard.empty() || standard.size() > kMaxSecretBytes) return std::nullopt;
  standard.append(padding, '=');
  std::string bytes(standard.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(standard.data()),
                                   static_cast<int>(standard.size()));
  if (size < 0) return std::nullopt;
  bytes.resize(static_cast<std::size_t>(size) - padding);
  return bytes;
}

/// A header can't carry more, and a line break in it would be a second header.
bool is_header_value(std::string_view token) {
  return std::ranges::all_of(token, [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

std::expected<std::string, std::string> read_secret_file(const std::string& path, std::string_view named) {
  const auto fail = [&](std::string_view why) {
    return std::unexpected(path.starts_with('/') ? fmt::format("{}: {}: {}", named, path, why)
                                                 : fmt::format("{}: {}", named, why));
  };
  const tools::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!file) return fail(std::strerror(errno));
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return fail(std::strerror(errno));
  if (!S_ISREG(info.st_mode)) return fail("not a regular file");
  if ((info.st_mode & S_IRWXO) != 0) return fail("others may read it; chmod 600 it");
  std::string text(kMaxSecretBytes + 1, '\0');
  const auto size = ::read(file.get(), text.data(), text.size());
  if (size < 0) return fail(std::strerror(errno));
  if (static_cast<std::size_t>(size) > kMaxSecretBytes) return fail("too large for a secret");
  const auto trimmed = trim(std::string_view(text).substr(0, static_cast<std::size_t>(size)));
  if (trimmed.empty()) return fail("the file is empty");
  return std::string(trimmed);
}

std::expected<Credentials, std::string> load_credentials(const CredentialSources& sources) {
  Credentials credentials;
  std::string secret(trim(sources.secret));
  std::string& secret_name = credentials.secret_name;
  secret_name = "ANTHROPIC_WORK_SECRET";
  if (!sources.secret_file.empty()) {
    secret_name = "ANTHROPIC_WORK_SECRET_FILE (--work-secret-file)";
    auto text = read_secret_file(sources.secret_file, secret_name);
    if (!text) return std::unexpected(text.error());
    secret = std::move(*text);
  }
  std::string key(trim(sources.key));
  if (key.empty() && !sources.key_file.empty()) {
    auto text =
        read_secret_file(sources.key_file, "SANDBOX_WORKER_ENVIRONMENT_KEY_FILE (--environment-key-file)");
    if (!text) return std::unexpected(text.error());
    key = std::move(*text);
  }
  std::string secret_problem;
  if (!secret.empty()) {
    const auto bytes = decode_base64(secret);
    auto decoded =
        bytes ? protocol::parse_work_secret(*bytes)
              : protocol::Result<protocol::WorkSecret>(std::unexpected(protocol::DecodeError{"not base64"}));
    if (decoded && !is_header_value(decoded->sessions_token)) {
      decoded = std::unexpected(protocol::DecodeError{"its token has characters that no token has"});
    }
    if (decoded) {
      credentials.token = std::move(decoded->sessions_token);
      credentials.api_base_url = std::move(decoded->api_base_url);
    } else {
      secret_problem = fmt::format("{} can't be used: {}", secret_name, decoded.error().message);
      credentials.warnings.push_back(secret_problem + "; the environment key is used instead");
    }
  }
  if (credentials.token.empty()) credentials.token = std::move(key);
  if (credentials.token.empty()) {
    if (!secret_problem.empty()) {
      return std::unexpected(secret_problem +
                             ", and ANTHROPIC_ENVIRONMENT_KEY (--environment-key-file) is not set");
    }
    return std::unexpected("ANTHROPIC_ENVIRONMENT_KEY (--environment-key-file) is not set");
  }
  if (!is_header_value(credentials.token)) {
    return std::unexpected(
        "ANTHROPIC_ENVIRONMENT_KEY (--environment-key-file) has characters that no key has");
  }
  return credentials;
}

}  // namespace sandbox_worker::worker
