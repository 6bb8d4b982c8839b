#include "tools/toolset.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "tools/bash.hpp"
#include "tools/edit.hpp"
#include "tools/file_tool_options.hpp"
#include "tools/glob.hpp"
#include "tools/grep.hpp"
#include "tools/read.hpp"
#include "tools/spill.hpp"
#include "tools/workspace.hpp"
#include "tools/write.hpp"

namespace sandbox_worker::tools {
namespace {

constexpr std::array<std::string_view, 6> kNames{"bash", "read", "write", "edit", "glob", "grep"};

SearchOptions search_options(const ToolsetOptions& options) {
  SearchOptions search;
  search.workspace = options.workspace;
  search.pool = options.pool;
  search.limits = options.limits;
  search.threads = options.search_threads;
  search.home = options.home;
  search.xdg_config = options.xdg_config;
  search.spill = options.spill;
  search.slots = options.search_slots;
  return search;
}

}  // namespace

Toolset::Toolset(const ToolsetOptions& options) {
  auto shell = std::make_unique<Bash>(BashOptions{.executor = options.executor,
                                                  .pool = options.pool,
                                                  .workdir = options.workspace->workdir(),
                                                  .environment = options.environment,
                                                  .limits = options.limits,
                                                  .private_dir = options.private_dir,
                                                  .spill = options.spill,
                                                  .on_shell = options.on_shell});
  bash_ = shell.get();
  tools_.push_back(std::move(shell));

  FileToolOptions files;
  files.workspace = options.workspace;
  files.locks = options.file_locks;
  files.pool = options.pool;
  files.limits = options.limits;
  files.private_files = options.private_files;
  tools_.push_back(std::make_unique<Read>(files));
  tools_.push_back(std::make_unique<Write>(files));
  tools_.push_back(std::make_unique<Edit>(files));

  const auto search = search_options(options);
  tools_.push_back(std::make_unique<Glob>(search));
  tools_.push_back(std::make_unique<Grep>(search));
}

Toolset::~Toolset() = default;

bool Toolset::has(std::string_view name) {
  return std::ranges::find(kNames, name) != kNames.end();
}

boost::asio::awaitable<ToolResult> Toolset::run(std::string_view name, nlohmann::json input) {
  const auto tool = std::ranges::find(tools_, name, [](const auto& each) { return each->name(); });
  return (*tool)->run(std::move(input));
}

boost::asio::awaitable<void> Toolset::close() {
  return bash_->close();
}

void Toolset::kill() {
  bash_->kill();
}

}  // namespace sandbox_worker::tools
