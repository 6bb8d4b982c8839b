#include "worker/env_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <utility>

#include "tools/environment.hpp"
#include "tools/unique_fd.hpp"
#include "worker/trim.hpp"

namespace sandbox_worker::worker {
namespace {

constexpr std::size_t kMaxBytes = 1024 * 1024;

bool is_name(std::string_view text) {
  return !text.empty() && !std::isdigit(static_cast<unsigned char>(text.front())) &&
         std::ranges::all_of(text, [](unsigned char c) { return std::isalnum(c) || c == '_'; });
}

/// What stands between quotes, and nothing but a comment behind them. In single quotes each character is
/// itself; in double ones a backslash takes the special meaning from a quote or a backslash.
std::expected<std::string, std::string> quoted_value(std::string_view text) {
  const char quote = text.front();
  std::string value;
  for (std::size_t at = 1; at < text.size(); ++at) {
    if (text[at] == quote) {
      const auto rest = trim(text.substr(at + 1));
      if (!rest.empty() && !rest.starts_with('#')) return std::unexpected("text behind the closing quote");
      return value;
    }
    const bool escapes = quote == '"' && text[at] == '\\' && at + 1 < text.size() &&
                         (text[at + 1] == '"' || text[at + 1] == '\\');
    if (escapes) ++at;
    value += text[at];
  }
  return std::unexpected("a quote that isn't closed");
}

std::expected<std::string, std::string> parse_line(std::string_view line) {
  if (line.starts_with("export ") || line.starts_with("export\t")) line = trim(line.substr(7));
  const auto equals = line.find('=');
  const auto name = line.substr(0, equals);
  if (equals == std::string_view::npos || !is_name(name)) return std::unexpected("not NAME=value");
  if (tools::is_private_variable(name))
    return std::unexpected(fmt::format("{} is not for commands (ANTHROPIC_*, SANDBOX_WORKER_*)", name));
  std::string value(line.substr(equals + 1));
  if (value.starts_with('"') || value.starts_with('\'')) {
    auto inner = quoted_value(value);
    if (!inner) return std::unexpected(inner.error());
    value = std::move(*inner);
  }
  if (value.find('\0') != std::string::npos) return std::unexpected("a NUL byte");
  return fmt::format("{}={}", name, value);
}

}  // namespace

std::expected<std::vector<std::string>, std::string> parse_env_file(std::string_view text) {
  std::vector<std::string> entries;
  for (int number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    const auto line = trim(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line.starts_with('#')) continue;
    auto entry = parse_line(line);
    if (!entry) return std::unexpected(fmt::format("line {}: {}", number, entry.error()));
    entries.push_back(std::move(*entry));
  }
  return entries;
}

std::expected<std::vector<std::string>, std::string> read_env_file(const std::string& path) {
  const auto fail = [&](std::string_view why) { return std::unexpected(fmt::format("{}: {}", path, why)); };
  const tools::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!file) return fail(std::strerror(errno));
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return fail(std::strerror(errno));
  if (!S_ISREG(info.st_mode)) return fail("not a regular file");
  std::string text;
  std::string block(64 * 1024, '\0');
  for (;;) {
    const auto size = ::read(file.get(), block.data(), block.size());
    if (size < 0) return fail(std::strerror(errno));
    if (size == 0) break;
    text.append(block, 0, static_cast<std::size_t>(size));
    if (text.size() > kMaxBytes) return fail("larger than 1 MiB");
  }
  auto entries = parse_env_file(text);
  if (!entries) return fail(entries.error());
  return entries;
}

}  // namespace sandbox_worker::worker
