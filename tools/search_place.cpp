#include "tools/search_place.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "tools/workspace.hpp"

namespace sandbox_worker::tools {

std::string SearchPlace::below(std::string_view relative) const {
  std::string out = path;
  if (!out.ends_with('/')) out += '/';
  return out += relative;
}

std::expected<SearchPlace, PathError> open_search_place(const SearchOptions& options, std::string_view path) {
  const auto seen = options.workspace->open_file(path, O_PATH);
  if (!seen) return std::unexpected(seen.error());
  struct stat status;
  if (::fstat(seen->fd.get(), &status) != 0) return std::unexpected(path_error("open", path, errno));
  if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode))
    return std::unexpected(not_regular_error(path, status.st_mode));
  auto opened = options.workspace->open_file(path, O_RDONLY);
  if (!opened) return std::unexpected(opened.error());
  const auto open_directory = [&](const std::string& above) {
    auto directory = options.workspace->open_file(above, O_RDONLY | O_DIRECTORY);
    return directory ? std::move(directory->fd) : UniqueFd();
  };
  SearchPlace place{.fd = std::move(opened->fd),
                    .directory = S_ISDIR(status.st_mode),
                    .path = std::move(opened->path),
                    .outer = {},
                    .threads = options.threads};
  if (place.directory) {
    auto user = read_user_excludes(
        {.home = options.home, .xdg_config = options.xdg_config, .system = "/etc/gitconfig"});
    place.outer = read_outer_scope(place.path, std::move(user), open_directory);
    place.outer.named = place.path != options.workspace->workdir();
  }
  return place;
}

}  // namespace sandbox_worker::tools
