#include "tools/workspace.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace sandbox_worker::tools {
namespace {

namespace fs = std::filesystem;

/// The name that agents may use for a root besides its real one. With ".." in it the text alone doesn't say
/// where it leads, and the real name has to do.
std::string absolute_name(const std::string& directory, const std::string& canonical) {
  std::error_code ignored;
  std::string text;
  for (const auto& part : fs::absolute(directory, ignored).relative_path()) {
    if (part == "..") return canonical;
    if (!part.empty() && part != ".") text += "/" + part.string();
  }
  return text.empty() ? canonical : text;
}

std::string cannot_use(const std::string& directory, const std::string& why) {
  return fmt::format("cannot use {} as a directory for tools: {}", directory, why);
}

std::expected<Root, std::string> open_root(const std::string& directory, Access access) {
  std::error_code error;
  const auto canonical = fs::canonical(directory, error);
  if (error) return std::unexpected(cannot_use(directory, error.message()));
  UniqueFd fd(::open(canonical.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return std::unexpected(cannot_use(directory, std::generic_category().message(errno)));
  return Root{.path = canonical.string(),
              .given = absolute_name(directory, canonical.string()),
              .writable = access == Access::read_write,
              .fd = std::make_shared<const UniqueFd>(std::move(fd)),
              .error = 0};
}

PathError refusal(const std::vector<Root>& roots, std::string_view path, int error) {
  if (error == EBADF) {
    const auto lost = std::ranges::find_if(roots, [](const Root& root) { return !root.fd; });
    if (lost != roots.end()) return lost_root_error(path, lost->path, lost->error);
  }
  if (error == EISDIR && (path.ends_with('/') || path.ends_with("/."))) return directory_name_error(path);
  if (error != EXDEV) return path_error("open", path, error);
  std::string allowed;
  for (const auto& root : roots) allowed += (allowed.empty() ? "" : ", ") + root.path;
  return outside_error(path, allowed);
}

bool is_writable(const std::vector<Root>& roots, std::string_view canonical) {
  return std::ranges::all_of(
      roots, [&](const Root& root) { return root.writable || !is_within(canonical, root.path); });
}

}  // namespace

std::expected<Workspace, std::string> Workspace::open(const std::string& workdir,
                                                      const std::vector<std::string>& allowed_roots) {
  Workspace workspace;
  std::error_code error;
  fs::create_directories(workdir, error);
  if (error) return std::unexpected(cannot_use(workdir, error.message()));
  if (auto added = workspace.add_root(workdir); !added) return std::unexpected(added.error());
  for (const auto& root : allowed_roots)
    if (auto added = workspace.add_root(root); !added) return std::unexpected(added.error());
  return workspace;
}

std::expected<void, std::string> Workspace::add_root(const std::string& directory, Access access) {
  auto root = open_root(directory, access);
  if (!root) return std::unexpected(root.error());
  if (workdir_.empty()) workdir_ = root->path;
  roots_->add(std::move(*root));
  return {};
}

std::expected<OpenedFile, PathError> Workspace::open_file(std::string_view path, int flags) const {
  if (path.empty()) return std::unexpected(empty_path_error());
  if (path.contains('\0')) return std::unexpected(nul_path_error());
  const int extra = (flags & O_PATH) != 0 ? O_CLOEXEC : O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  const auto roots = roots_->now();
  auto opened = open_in_roots(*roots, path, flags | extra);
  if (!opened) return std::unexpected(refusal(*roots, path, opened.error()));
  return std::move(*opened);
}

std::expected<ResolvedPath, PathError> Workspace::resolve(std::string_view path,
                                                          std::optional<mode_t> make_parents) const {
  if (path.empty()) return std::unexpected(empty_path_error());
  if (path.contains('\0')) return std::unexpected(nul_path_error());
  auto roots = roots_->now();
  auto place = resolve_in_roots(*roots, path, make_parents);
  if (!place && place.error() == EBADF && make_parents) {
    roots_->make_first(*make_parents);
    roots = roots_->now();
    place = resolve_in_roots(*roots, path, make_parents);
  }
  if (!place) return std::unexpected(refusal(*roots, path, place.error()));
  if (!is_writable(*roots, place->path)) return std::unexpected(read_only_error(path));
  return std::move(*place);
}

}  // namespace sandbox_worker::tools
