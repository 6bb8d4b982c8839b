#include "tools/git_excludes.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "tools/small_file.hpp"

namespace sandbox_worker::tools {
namespace {

// As git has it.
constexpr unsigned kMaxIncludes = 10;

constexpr std::string_view kSpace = " \t\r\n";

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

bool same_word(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

void remove_line(std::string_view& text) {
  text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
}

char unescaped(char c) {
  return c == 'n' ? '\n' : c == 't' ? '\t' : c == 'b' ? '\b' : c;
}

/// Takes a value, and the rest of its line, from the front of `text`. A backslash at the end of a line
/// continues the value in the next one.
std::string take_value(std::string_view& text) {
  std::string value;
  std::size_t length = 0;  // without spaces at the end
  bool quoted = false;
  for (; !text.empty() && text.front() != '\n'; text.remove_prefix(1)) {
    const char c = text.front();
    if (!quoted && (c == '#' || c == ';')) break;
    if (!quoted && kSpace.find(c) != std::string_view::npos) {
      if (length > 0) value += c;
      continue;
    }
    if (c == '"') {
      quoted = !quoted;
    } else if (c != '\\') {
      value += c;
    } else {
      text.remove_prefix(1);
      if (text.starts_with("\r\n")) text.remove_prefix(1);
      if (text.empty()) break;
      if (text.front() != '\n') value += unescaped(text.front());
    }
    length = value.size();
  }
  if (!text.empty()) remove_line(text);
  value.resize(length);
  return value;
}

std::string in_home(std::string path, const std::string& home) {
  if (path.starts_with("~/") && !home.empty()) path.replace(0, 1, home);
  return path;
}

/// core.excludesFile of the configuration file `path`, relative to `directory`, and of what it includes.
std::optional<std::string> configured(int directory, const std::string& path, const std::string& home,
                                      unsigned depth = 0) {
  const auto file = read_small_file(directory, path);
  return excludes_file_of(file.text, [&](std::string included) -> std::optional<std::string> {
    if (depth == kMaxIncludes) return std::nullopt;
    included = in_home(std::move(included), home);
    if (!included.starts_with('/')) included.insert(0, path, 0, path.rfind('/') + 1);
    return configured(directory, included, home, depth + 1);
  });
}

std::shared_ptr<const IgnoreRules> read_rules(int directory, const std::string& path, IgnoreRoom& room) {
  auto rules = rules_of(read_small_file(directory, path), room);
  return rules.empty() ? nullptr : std::make_shared<const IgnoreRules>(std::move(rules));
}

UniqueFd open_directory(int at, const std::string& path) {
  return UniqueFd(::openat(at, path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/// Where the repository of `directory` keeps what all its worktrees share; nothing where there is none. git
/// asks for more than a HEAD, but nothing else has one.
UniqueFd open_common_directory(int directory) {
  UniqueFd git = open_directory(directory, ".git");
  if (!git) {
    constexpr std::string_view kLeadsTo = "gitdir: ";
    const std::string file = read_small_file(directory, ".git").text;
    if (!file.starts_with(kLeadsTo)) return {};
    git = open_directory(directory, std::string(trimmed(std::string_view(file).substr(kLeadsTo.size()))));
    if (!git) return {};
  }
  if (::faccessat(git.get(), "HEAD", F_OK, AT_SYMLINK_NOFOLLOW) != 0) return {};
  const std::string common(trimmed(read_small_file(git.get(), "commondir").text));
  return common.empty() ? std::move(git) : open_directory(git.get(), common);
}

}  // namespace

IgnoreRules rules_of(const SmallFile& file, IgnoreRoom& room) {
  std::string_view text = file.text;
  if (!file.whole) {
    room.left_out = true;
    text = text.substr(0, text.rfind('\n') + 1);
  }
  return IgnoreRules::parse(text, room);
}

std::optional<std::string> excludes_file_of(std::string_view configuration, const ReadInclude& include) {
  std::optional<std::string> found;
  std::string_view section;
  while (true) {
    configuration.remove_prefix(std::min(configuration.find_first_not_of(kSpace), configuration.size()));
    if (configuration.empty()) return found;
    if (configuration.front() == '[') {
      const auto close = std::min(configuration.find_first_of("]\n"), configuration.size() - 1);
      section = trimmed(configuration.substr(1, close - 1));
      configuration.remove_prefix(close + 1);
      continue;
    }
    const auto equals = std::min(configuration.find_first_of("=#;\n"), configuration.size() - 1);
    if (configuration[equals] != '=') {
      remove_line(configuration);
      continue;
    }
    const std::string_view key = trimmed(configuration.substr(0, equals));
    configuration.remove_prefix(equals + 1);
    std::string value = take_value(configuration);
    if (same_word(section, "core") && same_word(key, "excludesfile")) {
      found = std::move(value);
    } else if (same_word(section, "include") && same_word(key, "path")) {
      if (auto included = include(std::move(value))) found = std::move(included);
    }
  }
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
  std::string path = named ? in_home(std::move(*named), home) : xdg.empty() ? "" : xdg + "/git/ignore";
  UserExcludes user{.home = home, .in_repository = {}, .rules = nullptr, .room = {}};
  if (path.starts_with('/'))
    user.rules = read_rules(AT_FDCWD, path, user.room);
  else
    user.in_repository = std::move(path);
  return user;
}

std::optional<RepositoryExcludes> read_repository_excludes(int directory, const UserExcludes& user,
                                                           IgnoreRoom& room) {
  const UniqueFd common = open_common_directory(directory);
  if (!common) return std::nullopt;
  RepositoryExcludes excludes{.exclude = rules_of(read_small_file(common.get(), "info/exclude"), room),
                              .rules = user.rules};
  auto own = configured(common.get(), "config", user.home);
  const std::string path = own ? in_home(std::move(*own), user.home) : user.in_repository;
  // git goes to the top of the repository before it opens the file, wherever it was told the name.
  if (own || !path.empty()) excludes.rules = read_rules(directory, path, room);
  return excludes;
}

}  // namespace sandbox_worker::tools
