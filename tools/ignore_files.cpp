#include "tools/ignore_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "tools/open_without_links.hpp"

namespace sandbox_worker::tools {
namespace {

constexpr std::size_t kMaxIgnoreFile = 4 * 1024 * 1024;

std::string read_regular(UniqueFd fd) {
  struct stat status;
  if (!fd || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  std::string text(std::min(static_cast<std::size_t>(status.st_size), kMaxIgnoreFile), '\0');
  std::size_t have = 0;
  while (have < text.size()) {
    const auto got = ::read(fd.get(), text.data() + have, text.size() - have);
    if (got <= 0) break;
    have += static_cast<std::size_t>(got);
  }
  text.resize(have);
  return text;
}

std::string read_beneath(int directory, const char* path) {
  return read_regular(open_without_links(directory, path, O_RDONLY));
}

// The user's own files may be anywhere, links included.
std::string read_anywhere(const std::string& path) {
  return read_regular(UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)));
}

IgnoreFiles files_in(int directory) {
  const auto exists = [&](const char* name) {
    return ::faccessat(directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
  };
  return {.dot_ignore = exists(".ignore"), .gitignore = exists(".gitignore"), .git = exists(".git")};
}

bool ignores_anything_of(const IgnoreScope* scope, std::string_view directory) {
  for (std::size_t end = 0; (end = directory.find('/', end)) != std::string_view::npos; ++end) {
    const std::string_view path = directory.substr(0, end);
    if (is_ignored(scope, path, path.substr(path.rfind('/') + 1), true)) return true;
  }
  // "dist/*" ignores all of dist without ignoring dist: no name of a file begins with this byte.
  constexpr std::string_view kAnyName = "\x01";
  return is_ignored(scope, std::string(directory) + std::string(kAnyName), kAnyName, false);
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

bool same_word(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::string unquoted(std::string_view value) {
  std::string out;
  bool quoted = false;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && (value[i] == '#' || value[i] == ';')) {
      break;
    } else {
      if (value[i] == '\\' && i + 1 < value.size()) ++i;
      out += value[i];
    }
  }
  return std::string(trimmed(out));
}

}  // namespace

std::shared_ptr<const IgnoreScope> read_scope(int fd, IgnoreFiles present, std::size_t base,
                                              std::shared_ptr<const IgnoreScope> above) {
  if (!present.dot_ignore && !present.gitignore && !present.git) return above;
  auto scope = std::make_shared<IgnoreScope>();
  scope->above = std::move(above);
  scope->base = base;
  scope->repository = present.git;
  if (present.dot_ignore) scope->dot_ignore = IgnoreRules::parse(read_beneath(fd, ".ignore"));
  if (present.gitignore) scope->gitignore = IgnoreRules::parse(read_beneath(fd, ".gitignore"));
  if (present.git) scope->exclude = IgnoreRules::parse(read_beneath(fd, ".git/info/exclude"));
  return scope;
}

OuterScope read_outer_scope(const std::string& path, std::shared_ptr<const IgnoreRules> global,
                            const std::function<UniqueFd(const std::string&)>& open_directory) {
  auto outermost = std::make_shared<IgnoreScope>();
  outermost->global = std::move(global);
  std::vector<std::pair<UniqueFd, std::size_t>> above;  // innermost first, with the length of the path
  for (auto slash = path.rfind('/'); slash != std::string::npos && path.size() > 1;
       slash = path.rfind('/', slash - 1)) {
    UniqueFd directory = open_directory(slash == 0 ? "/" : path.substr(0, slash));
    if (!directory) break;
    above.emplace_back(std::move(directory), slash + 1);
    if (slash == 0) break;
  }
  if (above.empty()) return {.scope = std::move(outermost), .prefix = {}};
  OuterScope outer{.scope = outermost, .prefix = path.substr(above.back().second) + '/'};
  for (auto at = above.rbegin(); at != above.rend(); ++at) {
    const std::size_t base = at->second - above.back().second;
    outer.scope = read_scope(at->first.get(), files_in(at->first.get()), base, std::move(outer.scope));
  }
  if (ignores_anything_of(outer.scope.get(), outer.prefix)) outer.scope = outermost;
  if (ignores_anything_of(outer.scope.get(), outer.prefix)) outer.scope = nullptr;
  return outer;
}

std::optional<std::string> excludes_file_of(std::string_view configuration) {
  std::optional<std::string> found;
  bool in_core = false;
  while (!configuration.empty()) {
    const auto end = std::min(configuration.find('\n'), configuration.size());
    std::string_view line = trimmed(configuration.substr(0, end));
    configuration.remove_prefix(std::min(end + 1, configuration.size()));
    if (line.starts_with('[')) {
      const auto close = std::min(line.find(']'), line.size());
      in_core = same_word(trimmed(line.substr(1, close - 1)), "core");
      line = trimmed(line.substr(std::min(close + 1, line.size())));
    }
    const auto equals = line.find('=');
    if (!in_core || equals == std::string_view::npos) continue;
    if (same_word(trimmed(line.substr(0, equals)), "excludesfile"))
      found = unquoted(trimmed(line.substr(equals + 1)));
  }
  return found;
}

std::shared_ptr<const IgnoreRules> read_global_rules(const std::string& home, const std::string& xdg_config) {
  const std::string xdg = !xdg_config.empty() ? xdg_config : home.empty() ? "" : home + "/.config";
  std::optional<std::string> named;
  if (!xdg.empty()) named = excludes_file_of(read_anywhere(xdg + "/git/config"));
  if (!home.empty()) {
    if (auto own = excludes_file_of(read_anywhere(home + "/.gitconfig"))) named = std::move(own);
  }
  std::string path = named ? *named : xdg.empty() ? "" : xdg + "/git/ignore";
  if (path.starts_with("~/") && !home.empty()) path.replace(0, 1, home);
  auto rules = IgnoreRules::parse(path.empty() ? "" : read_anywhere(path));
  if (rules.empty()) return nullptr;
  return std::make_shared<const IgnoreRules>(std::move(rules));
}

}  // namespace sandbox_worker::tools
