#include "tools/ignore_files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "tools/open_without_links.hpp"
#include "tools/small_file.hpp"

namespace sandbox_worker::tools {
namespace {

IgnoreRules read_beneath(int directory, const char* path, IgnoreRoom& room) {
  const auto file = read_small_file(open_without_links(directory, path, O_RDONLY));
  return rules_of(file, room);
}

}  // namespace

IgnoreFiles IgnoreFiles::in(int directory) noexcept {
  const auto exists = [&](const char* name) {
    return ::faccessat(directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
  };
  return {.dot_ignore = exists(".ignore"), .gitignore = exists(".gitignore"), .git = exists(".git")};
}

std::shared_ptr<const IgnoreScope> read_scope(int fd, IgnoreFiles present, std::size_t base,
                                              std::shared_ptr<const IgnoreScope> above) {
  if (!present.dot_ignore && !present.gitignore && !present.git) return above;
  auto scope = std::make_shared<IgnoreScope>();
  if (above) {
    scope->user = above->user;
    scope->room = above->room;
  }
  scope->above = std::move(above);
  scope->base = base;
  if (present.dot_ignore) scope->dot_ignore = read_beneath(fd, ".ignore", scope->room);
  if (present.gitignore) scope->gitignore = read_beneath(fd, ".gitignore", scope->room);
  if (!present.git) return scope;
  const UserExcludes none;
  if (auto excludes = read_repository_excludes(fd, scope->user ? *scope->user : none, scope->room)) {
    scope->repository = true;
    scope->exclude = std::move(excludes->exclude);
    scope->global = std::move(excludes->rules);
  }
  return scope;
}

std::shared_ptr<const IgnoreScope> read_root_scope(int fd, IgnoreFiles present, const OuterScope& outer) {
  auto scope = read_scope(fd, present, outer.prefix.size(), outer.scope);
  return outer.named && ignores_all_in(scope.get(), outer.prefix) ? outer.scope : scope;
}

OuterScope read_outer_scope(const std::string& path, UserExcludes user,
                            const std::function<UniqueFd(const std::string&)>& open_directory) {
  auto outermost = std::make_shared<IgnoreScope>();
  outermost->global = user.rules;
  outermost->room = user.room;
  outermost->user = std::make_shared<const UserExcludes>(std::move(user));
  std::vector<std::pair<UniqueFd, std::size_t>> above;  // innermost first, with the length of the path
  for (auto slash = path.rfind('/'); slash != std::string::npos && path.size() > 1;
       slash = path.rfind('/', slash - 1)) {
    UniqueFd directory = open_directory(slash == 0 ? "/" : path.substr(0, slash));
    if (!directory) break;
    above.emplace_back(std::move(directory), slash + 1);
    if (slash == 0) break;
  }
  if (above.empty()) return {.scope = std::move(outermost), .prefix = {}, .named = false};
  OuterScope outer{.scope = outermost, .prefix = path.substr(above.back().second) + '/', .named = false};
  for (auto at = above.rbegin(); at != above.rend(); ++at) {
    const std::size_t base = at->second - above.back().second;
    outer.scope = read_scope(at->first.get(), IgnoreFiles::in(at->first.get()), base, std::move(outer.scope));
    // Only the rules read so far are about the next directory; those of the ones below it are not.
    const auto slash = outer.prefix.find('/', base);
    const auto next = std::string_view(outer.prefix).substr(0, slash);
    const bool last = slash + 1 == outer.prefix.size();
    const auto is_next_ignored = [&] {
      return is_ignored(outer.scope.get(), next, next.substr(base), true) ||
             (last && ignores_all_in(outer.scope.get(), outer.prefix));
    };
    if (is_next_ignored()) outer.scope = outermost;
    if (!is_next_ignored()) continue;
    outermost->global = nullptr;
    outermost->room = {};
  }
  return outer;
}

}  // namespace sandbox_worker::tools
