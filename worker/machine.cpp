#include "worker/machine.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <thread>
#include <utility>

#include "tools/bash.hpp"
#include "tools/environment.hpp"
#include "worker/runtime_dir.hpp"

namespace sandbox_worker::worker {
namespace {

std::string value_of(const Environment& environment, std::string_view name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string() : found->second;
}

}  // namespace

Machine::Machine(tools::Workspace workspace, std::unique_ptr<tools::SpillStore> spill, unsigned threads)
    : threads_(threads), pool_(threads), workspace_(std::move(workspace)), spill_(std::move(spill)) {}

std::expected<std::unique_ptr<Machine>, std::string> Machine::open(const Config& config,
                                                                   const Environment& environment) {
  if (auto found = tools::check_bash(); !found) return std::unexpected(found.error());
  const auto workdir = std::filesystem::absolute(config.workdir).lexically_normal().string();
  auto workspace = tools::Workspace::open(workdir, config.allow_roots);
  if (!workspace) return std::unexpected("SANDBOX_WORKER_WORKDIR (--workdir): " + workspace.error());
  const auto runtime_dir = open_runtime_dir(config.runtime_dir, environment);
  if (!runtime_dir) return std::unexpected(runtime_dir.error());
  const auto spill_parent = config.spill_dir.empty()
                                ? *runtime_dir
                                : std::filesystem::absolute(config.spill_dir).lexically_normal().string();
  auto spill = tools::SpillStore::open(fmt::format("{}/output-{}", spill_parent, ::getpid()));
  if (!spill) {
    return std::unexpected((config.spill_dir.empty() ? "" : "SANDBOX_WORKER_SPILL_DIR (--spill-dir): ") +
                           spill.error());
  }
  if (auto added = workspace->add_root((*spill)->directory(), tools::Access::read_only); !added) {
    return std::unexpected(added.error());
  }
  // A computing call must not keep a file call waiting, also on one core.
  const unsigned threads = std::max(2U, std::thread::hardware_concurrency());
  std::unique_ptr<Machine> machine(new Machine(std::move(*workspace), std::move(*spill), threads));
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

tools::ToolsetOptions Machine::tool_options() {
  tools::ToolsetOptions options;
  options.executor = io_.get_executor();
  options.pool = pool_.get_executor();
  options.workspace = &workspace_;
  options.file_locks = &file_locks_;
  options.spill = spill_.get();
  options.environment = environment_;
  options.search_threads = threads_;
  options.home = home_;
  options.xdg_config = xdg_config_;
  options.limits = limits_;
  options.private_files = private_files_;
  return options;
}

}  // namespace sandbox_worker::worker
