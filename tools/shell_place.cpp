#include "tools/shell_place.hpp"

#include <algorithm>
#include <atomic>
#include <boost/asio/this_coro.hpp>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "tools/cancelled.hpp"
#include "tools/offload.hpp"
#include "tools/unattended.hpp"

namespace sandbox_worker::tools {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

/// For a file system to say whether a directory is there, at least and twice that at most.
constexpr auto kLimit = std::chrono::seconds(1);

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

std::optional<ShellPlace> look_at(const std::string& directory, const Environment& environment) {
  if (!is_directory(directory)) return std::nullopt;
  const std::string old_directory(value_of(environment, "OLDPWD").value_or(""));
  return ShellPlace{.directory = directory,
                    .name = name_of(directory, environment),
                    .old_directory = is_directory(old_directory) ? old_directory : ""};
}

asio::awaitable<std::optional<ShellPlace>> look_on_pool(asio::any_io_executor pool,
                                                        std::shared_ptr<std::atomic<bool>> begun,
                                                        std::string directory, Environment environment) {
  co_return co_await offload(pool, [begun = std::move(begun), directory = std::move(directory),
                                    environment = std::move(environment)](const std::stop_token&) {
    *begun = true;
    return look_at(directory, environment);
  });
}

}  // namespace

asio::awaitable<std::optional<ShellPlace>> find_shell_place(asio::any_io_executor pool,
                                                            std::vector<std::string> directories,
                                                            Environment environment,
                                                            Clock::time_point deadline) {
  directories.erase(std::ranges::unique(directories).begin(), directories.end());
  for (const std::string& directory : directories) {
    const auto begun = std::make_shared<std::atomic<bool>>(false);
    Unattended<std::optional<ShellPlace>> look(co_await asio::this_coro::executor,
                                               look_on_pool(pool, begun, directory, environment));
    // It may also wait for a thread of the pool.
    for (bool hangs = false; !look.ended() && !hangs;) {
      hangs = *begun;
      co_await look.wait(std::min(Clock::now() + kLimit, deadline));
      if (!look.ended() && (Clock::now() >= deadline || co_await is_cancelled())) co_return std::nullopt;
    }
    auto place = look.ended() ? look.take() : std::nullopt;
    if (place) co_return place;
  }
  co_return ShellPlace{.directory = "/", .name = "/", .old_directory = ""};
}

}  // namespace sandbox_worker::tools
