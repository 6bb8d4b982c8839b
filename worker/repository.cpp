#include "worker/repository.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

namespace sandbox_worker::worker {

namespace fs = std::filesystem;

namespace {

void copy_tree(const fs::path& source, const fs::path& target, const std::stop_token& stop,
               std::error_code& error) {
  fs::create_directory(target, source, error);
  auto entry = fs::recursive_directory_iterator(source, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (stop.stop_requested()) error = std::make_error_code(std::errc::operation_canceled);
    if (error) return;
    const auto to = target / entry->path().lexically_relative(source);
    const auto type = entry->symlink_status(error).type();
    if (error) return;
    if (type == fs::file_type::directory) {
      fs::create_directory(to, entry->path(), error);
    } else if (type == fs::file_type::symlink || type == fs::file_type::regular) {
      fs::copy(entry->path(), to, fs::copy_options::copy_symlinks, error);
    }
  }
}

}  // namespace

std::expected<RepositoryCopy, std::string> copy_repository(const std::string& source,
                                                           const std::string& workdir,
                                                           const std::string& name,
                                                           const std::stop_token& stop) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos) {
    return std::unexpected(fmt::format("'{}' is not the name of a directory", name));
  }
  std::error_code error;
  if (!fs::is_directory(source, error)) return RepositoryCopy::no_source;
  const fs::path target = fs::path(workdir) / name;
  if (fs::exists(fs::symlink_status(target, error))) return RepositoryCopy::was_there;
  const fs::path partial = fs::path(workdir) / fmt::format(".{}.{}", name, ::getpid());
  // A worker that was killed, and had our pid as the first process of the same sandbox, may have left it.
  fs::remove_all(partial, error);
  if (!error) copy_tree(source, partial, stop, error);
  if (!error) fs::rename(partial, target, error);
  if (!error) return RepositoryCopy::made;
  const std::string why = error.message();
  fs::remove_all(partial, error);
  return std::unexpected(fmt::format("{} can't be copied to {}: {}", source, target.string(), why));
}

}  // namespace sandbox_worker::worker
