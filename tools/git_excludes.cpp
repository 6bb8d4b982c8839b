#include "tools/git_excludes.hpp"

#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "tools/small_file.hpp"

namespace sandbox_worker::tools {
namespace {

// As git has it.
constexpr unsigned kMaxIncludes = 10;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
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

std::string in_home(std::string path, const std::string& home) {
  if (path.starts_with("~/") && !home.empty()) path.replace(0, 1, home);
  return path;
}

/// core.excludesFile of the configuration file `path`, relative to `directory`, and of what it includes.
std::optional<std::string> configured(int directory, const std::string& path, const std::string& home,
                                      unsigned depth = 0) {
  const std::string text = read_small_file(directory, path);
  return excludes_file_of(text, [&](std::string included) -> std::optional<std::string> {
    if (depth == kMaxIncludes) return std::nullopt;
    included = in_home(std::move(included), home);
    if (!included.starts_with('/')) included.insert(0, path, 0, path.rfind('/') + 1);
    return configured(directory, included, home, depth + 1);
  });
}

std::shared_ptr<const IgnoreRules> read_rules(int directory, const std::string& path) {
  auto rules = IgnoreRules::parse(read_small_file(directory, path));
  return rules.empty() ? nullptr : std::make_shared<const IgnoreRules>(std::move(rules));
}

UniqueFd open_directory(int at, const std::string& path) {
  return UniqueFd(::openat(at, path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/// Where the repository of `directory` keeps what all its worktrees share.
UniqueFd open_common_directory(int directory) {
  UniqueFd git = open_directory(directory, ".git");
  if (!git) {
    constexpr std::string_view kLeadsTo = "gitdir: ";
    const std::string file = read_small_file(directory, ".git");
    if (!file.starts_with(kLeadsTo)) return {};
    git = open_directory(directory, std::string(trimmed(std::string_view(file).substr(kLeadsTo.size()))));
    if (!git) return {};
  }
  const std::string common(trimmed(read_small_file(git.get(), "commondir")));
  return common.empty() ? std::move(git) : open_directory(git.get(), common);
}

}  // namespace

std::optional<std::string> excludes_file_of(std::string_view configuration, const ReadInclude& include) {
  std::optional<std::string> found;
  std::string_view section;
  while (!configuration.empty()) {
    const auto end = std::min(configuration.find('\n'), configuration.size());
    std::string_view line = trimmed(configuration.substr(0, end));
    configuration.remove_prefix(std::min(end + 1, configuration.size()));
    if (line.starts_with('[')) {
      const auto close = std::min(line.find(']'), line.size());
      section = trimmed(line.substr(1, close - 1));
      line = trimmed(line.substr(std::min(close + 1, line.size())));
    }
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view key = trimmed(line.substr(0, equals));
    std::string value = unquoted(trimmed(line.substr(equals + 1)));
    if (same_word(section, "core") && same_word(key, "excludesfile")) {
      found = std::move(value);
    } else if (same_word(section, "include") && same_word(key, "path")) {
      if (auto included = include(std::move(value))) found = std::move(included);
    }
  }
  return found;
}

UserExcludes read_user_excludes(const GitConfiguration& configuration) {
  const std::string& home = configuration.home;
  const std::string xdg = !configuration.xdg_config.empty() ? configuration.xdg_config
                          : home.empty()                    ? ""
                                                            : home + "/.config";
  std::optional<std::string> named;
  for (const std::string& file : {configuration.system, xdg.empty() ? "" : xdg + "/git/config",
                                  home.empty() ? "" : home + "/.gitconfig"}) {
    if (file.empty()) continue;
    if (auto own = configured(AT_FDCWD, file, home)) named = std::move(own);
  }
  const std::string path = named ? in_home(std::move(*named), home) : xdg.empty() ? "" : xdg + "/git/ignore";
  // git takes other names as relative to the repository, of which there may be several or none.
  return {.home = home, .rules = path.starts_with('/') ? read_rules(AT_FDCWD, path) : nullptr};
}

RepositoryExcludes read_repository_excludes(int directory, const UserExcludes& user) {
  const UniqueFd common = open_common_directory(directory);
  if (!common) return {.exclude = {}, .rules = user.rules};
  RepositoryExcludes excludes{.exclude = IgnoreRules::parse(read_small_file(common.get(), "info/exclude")),
                              .rules = user.rules};
  if (auto own = configured(common.get(), "config", user.home)) {
    excludes.rules = read_rules(directory, in_home(std::move(*own), user.home));
  }
  return excludes;
}

}  // namespace sandbox_worker::tools
