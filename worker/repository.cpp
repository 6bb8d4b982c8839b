#include "worker/repository.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>

#include "tools/unique_fd.hpp"

namespace sandbox_worker::worker {

namespace fs = std::filesystem;

namespace {

void copy_tree(const fs::path& source, const fs::path& target, const std::stop_token& stop,
               std::error_code& error) {
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

/// Locked while a worker copies into it, so that others know it for a copy under way.
tools::UniqueFd lock_directory(const fs::path& path) {
  tools::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) fd.reset();
  return fd;
}

/// Removes the copies that killed workers left half done.
void remove_leftovers(const fs::path& workdir, const std::string& prefix) {
  std::error_code error;
  for (auto entry = fs::directory_iterator(workdir, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    const auto name = entry->path().filename().string();
    const bool partial = name.starts_with(prefix) && name.size() > prefix.size() &&
                         name.find_first_not_of("0123456789", prefix.size()) == std::string::npos;
    if (!partial) continue;
    std::error_code ignored;
    if (const auto lock = lock_directory(entry->path())) fs::remove_all(entry->path(), ignored);
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
  const auto prefix = fmt::format(".{}.", name);
  remove_leftovers(workdir, prefix);
  const fs::path partial = fs::path(workdir) / fmt::format("{}{}", prefix, ::getpid());
  fs::create_directory(partial, source, error);
  const auto lock = lock_directory(partial);
  if (!error && !lock) error = std::make_error_code(std::errc::device_or_resource_busy);
  if (!error) copy_tree(source, partial, stop, error);
  if (!error) fs::rename(partial, target, error);
  if (!error) return RepositoryCopy::made;
  const std::string why = error.message();
  if (lock) fs::remove_all(partial, error);
  return std::unexpected(fmt::format("{} can't be copied to {}: {}", source, target.string(), why));
}

}  // namespace sandbox_worker::worker
