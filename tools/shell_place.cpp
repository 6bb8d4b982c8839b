#include "tools/shell_place.hpp"

#include <filesystem>
#include <system_error>

namespace sandbox_worker::tools {
namespace {

namespace fs = std::filesystem;

bool is_directory(const fs::path& path) {
  std::error_code failed;
  return fs::is_directory(path, failed);
}

/// The name that $PWD has for it, as bash would take it; a name with dots may mean another one to `cd`.
std::string name_of(const std::string& directory, const Environment& environment) {
  const fs::path name(value_of(environment, "PWD").value_or(""));
  std::error_code failed;
  const bool is_name =
      name.is_absolute() && name.lexically_normal() == name && fs::equivalent(name, directory, failed);
  return is_name ? name.string() : directory;
}

}  // namespace

std::optional<ShellPlace> find_shell_place(const std::string& directory, const Environment& environment) {
  if (!is_directory(directory)) return std::nullopt;
  const std::string old_directory(value_of(environment, "OLDPWD").value_or(""));
  return ShellPlace{.directory = directory,
                    .name = name_of(directory, environment),
                    .old_directory = is_directory(old_directory) ? old_directory : ""};
}

}  // namespace sandbox_worker::tools
