#include "tools/near_names.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>

#include "tools/text.hpp"

namespace sandbox_worker::tools {
namespace {

constexpr std::size_t kMaxNames = 3;
constexpr std::size_t kMaxEntries = 5'000;  // a directory's entries looked at; more would make an error slow
constexpr std::size_t kMaxDirectories = 200;  // directories looked into for the same name
constexpr std::size_t kMaxShownTarget = 200;  // bytes of a link's target
constexpr std::size_t kMaxLength = 64;        // longer names are not compared letter by letter

struct Candidate {
  std::size_t score;
  std::string name;
  auto operator<=>(const Candidate&) const = default;
};

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

Directory list(UniqueFd fd) {
  Directory directory(::fdopendir(fd.get()));
  if (directory) fd.release();
  return directory;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

bool has_entry(int directory, const char* child, const std::string& name) {
  UniqueFd fd(::openat(directory, child, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat info{};
  return fd && ::fstatat(fd.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0;
}

std::size_t slips_in(std::string_view name) {
  return 1 + name.size() / 6;
}

/// Slips between two names, in any case; more than anyone makes where they are long or their lengths differ
/// much.
std::size_t distance_of(std::string_view name, std::string_view wanted) {
  const auto longer = std::max(name.size(), wanted.size());
  if (longer > kMaxLength || longer - std::min(name.size(), wanted.size()) > slips_in(wanted)) return longer;
  return edit_distance(lower(name), lower(wanted));
}

std::vector<Candidate> candidates_in(UniqueFd fd, const std::string& wanted) {
  std::vector<Candidate> found;
  const auto directory = list(std::move(fd));
  if (!directory) return found;
  const std::size_t slips = slips_in(wanted);
  std::size_t directories = 0;
  for (std::size_t i = 0; i < kMaxEntries; ++i) {
    const dirent* entry = ::readdir(directory.get());
    if (entry == nullptr) break;
    const std::string name = entry->d_name;
    if (name == "." || name == ".." || name == wanted) continue;
    if (entry->d_type == DT_DIR && ++directories <= kMaxDirectories &&
        has_entry(::dirfd(directory.get()), entry->d_name, wanted))
      found.push_back({1, fmt::format("{}/{}", name, wanted)});
    const auto distance = std::min(distance_of(name, wanted), distance_of(show_text(name).text, wanted));
    if (distance <= slips && distance * 2 < std::max(name.size(), wanted.size()))
      found.push_back({distance == 0 ? 0 : distance + 1, name});
  }
  return found;
}

/// Splits "a/b/c" into "a/b/" and "c"; what is before the name keeps its slash.
std::pair<std::string, std::string> split(std::string_view path) {
  const auto slash = path.rfind('/');
  if (slash == std::string_view::npos) return {"", std::string(path)};
  return {std::string(path.substr(0, slash + 1)), std::string(path.substr(slash + 1))};
}

/// Where a missing path leads out of what is there.
struct Missing {
  UniqueFd fd;            // the last directory that is there
  std::string directory;  // its path as it was given, with its slash
  std::string name;       // the first component that is missing
  std::string rest;       // what follows it, with its slash
};

std::optional<Missing> first_missing(const Workspace& workspace, std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  std::string rest;
  while (!path.empty()) {
    auto [directory, name] = split(path);
    auto opened = workspace.open_file(directory.empty() ? "." : directory, O_RDONLY | O_DIRECTORY);
    if (opened) return Missing{std::move(opened->fd), std::move(directory), std::move(name), std::move(rest)};
    if (opened.error().error != ENOENT) return std::nullopt;
    rest.insert(0, name).insert(0, 1, '/');
    path = path.substr(0, directory.empty() ? 0 : directory.size() - 1);
  }
  return std::nullopt;
}

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = a[i - 1] == b[j - 1];
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

std::vector<std::string> near_names(const Workspace& workspace, std::string_view path) {
  auto missing = first_missing(workspace, path);
  if (!missing) return {};
  auto found = candidates_in(std::move(missing->fd), missing->name);
  std::ranges::sort(found);
  std::vector<std::string> names;
  for (const auto& candidate : found) {
    auto whole = missing->directory + candidate.name + missing->rest;
    if (!missing->rest.empty() && !workspace.open_file(whole, O_PATH)) continue;
    auto shown = show_text(std::move(whole));
    if (shown.replaced > 0) shown.text += " (its name is not UTF-8: rename it with bash)";
    names.push_back(std::move(shown.text));
    if (names.size() == kMaxNames) break;
  }
  return names;
}

std::string near_names_hint(const Workspace& workspace, std::string_view path) {
  std::string hint;
  if (const auto missing = first_missing(workspace, path)) {
    std::array<char, kMaxShownTarget> target;
    const auto length = ::readlinkat(missing->fd.get(), missing->name.c_str(), target.data(), target.size());
    if (length > 0)
      hint = "; " + missing->directory + missing->name + " is a link to nowhere (" +
             show_text(std::string(target.data(), static_cast<std::size_t>(length))).text + ")";
  }
  const auto names = near_names(workspace, path);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto* before = i == 0 ? "; did you mean " : i + 1 == names.size() ? " or " : ", ";
    hint += before + names[i];
  }
  return names.empty() ? hint : hint + "?";
}

}  // namespace sandbox_worker::tools
