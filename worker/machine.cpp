#include "worker/machine.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <future>
#include <system_error>
#include <thread>
#include <utility>

#include "tools/bash.hpp"
#include "tools/environment.hpp"
#include "worker/runtime_dir.hpp"

namespace sandbox_worker::worker {
namespace {

/// For reading and writing files, beside the searches. One may wait for a slow disk.
constexpr unsigned kFileThreads = 2;

/// Found out before anything is sent, and not by the first result that needs it.
std::expected<void, std::string> check_spill_dir(const std::string& path) {
  const auto failed = [&](const std::string& why) {
    return std::unexpected(fmt::format("SANDBOX_WORKER_SPILL_DIR (--spill-dir): {}: {}", path, why));
  };
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return failed(error.message());
  std::string probe = path + "/.sandbox-worker-XXXXXX";
  if (::mkdtemp(probe.data()) == nullptr) return failed(std::strerror(errno));
  ::rmdir(probe.c_str());
  return {};
}

/// A search that was left to itself ends within a fraction of that, unless it hangs.
constexpr auto kStopPools = std::chrono::seconds(1);

}  // namespace

Machine::Machine(tools::Workspace workspace, std::string runtime_dir, unsigned threads)
    : threads_(threads),
      search_slots_(threads),
      workspace_(std::move(workspace)),
      runtime_dir_(std::move(runtime_dir)),
      tool_pool_(threads + kFileThreads) {}

std::expected<std::unique_ptr<Machine>, std::string> Machine::open(const Config& config,
                                                                   const Environment& environment) {
  if (auto found = tools::check_bash(); !found) return std::unexpected(found.error());
  const auto workdir = std::filesystem::absolute(config.workdir).lexically_normal().string();
  auto workspace = tools::Workspace::open(workdir, {});
  if (!workspace) return std::unexpected(fmt::format("{}: {}", config.workdir_name, workspace.error()));
  for (const auto& root : config.allow_roots) {
    if (auto added = workspace->add_root(root); !added)
      return std::unexpected("SANDBOX_WORKER_ALLOW_ROOT (--allow-root): " + added.error());
  }
  auto runtime_dir = open_runtime_dir(config.runtime_dir, environment);
  if (!runtime_dir) return std::unexpected(runtime_dir.error());
  std::string spill_dir = *runtime_dir;
  if (!config.spill_dir.empty()) {
    spill_dir = std::filesystem::absolute(config.spill_dir).lexically_normal().string();
    if (auto usable = check_spill_dir(spill_dir); !usable) return std::unexpected(usable.error());
  }
  const unsigned threads = std::max(2U, std::thread::hardware_concurrency());
  std::unique_ptr<Machine> machine(new Machine(std::move(*workspace), std::move(*runtime_dir), threads));
  machine->spill_dir_ = std::move(spill_dir);
  tools::EnvironmentOptions commands;
  commands.ca_file = config.command_ca_file;
  commands.extra = config.command_environment;
  machine->environment_ = tools::command_environment(tools::process_environment(), commands);
  machine->home_ = value_of(environment, "HOME");
  machine->xdg_config_ = value_of(environment, "XDG_CONFIG_HOME");
  machine->limits_ = config.limits;
  machine->private_files_ = config.private_files;
  return machine;
}

std::expected<void, std::string> Machine::open_output(const std::string& name) {
  const auto directory = spill_dir_ + "/" + name;
  auto spill = tools::SpillStore::open(directory);
  if (!spill) {
    return std::unexpected((spill_dir_ == runtime_dir_ ? "" : "SANDBOX_WORKER_SPILL_DIR (--spill-dir): ") +
                           spill.error());
  }
  if (auto added = workspace_.add_root(directory, tools::Access::read_only); !added) {
    return std::unexpected(added.error());
  }
  spill_ = std::move(*spill);
  return {};
}

tools::ToolsetOptions Machine::tool_options() {
  tools::ToolsetOptions options;
  options.executor = io_.get_executor();
  options.pool = tool_pool();
  options.workspace = &workspace_;
  options.file_locks = &file_locks_;
  options.spill = spill_.get();
  options.environment = environment_;
  options.private_dir = runtime_dir_;
  options.search_threads = threads_;
  options.search_slots = &search_slots_;
  options.home = home_;
  options.xdg_config = xdg_config_;
  options.limits = limits_;
  options.private_files = private_files_;
  return options;
}

bool Machine::stop_pools() try {
  std::promise<void> joined;
  auto done = joined.get_future();
  std::thread joiner([this, joined = std::move(joined)]() mutable {
    for (auto* pool : {&pool_, &tool_pool_}) {
      pool->stop();
      pool->join();
    }
    joined.set_value();
  });
  const bool in_time = done.wait_for(kStopPools) == std::future_status::ready;
  if (in_time) {
    joiner.join();
  } else {
    joiner.detach();
  }
  return in_time;
} catch (const std::system_error&) {  // there is no thread to be had
  return false;
}

}  // namespace sandbox_worker::worker
