#include "tests/e2e/worker_run.hpp"

#include <cstdlib>
#include <fstream>
#include <iterator>

namespace session_server {

std::string worker_binary() {
  const char* other = std::getenv("WORKER_UNDER_TEST");
  return other && *other ? other : WORKER_BINARY;
}

bool is_sanitized() {
  std::ifstream file(worker_binary(), std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  return bytes.find("__asan_init") != std::string::npos || bytes.find("__tsan_init") != std::string::npos;
}

WorkerRun::WorkerRun(SessionServer* server, Options options) : server_(server), folder_(std::nullopt) {
  auto environment = folder_.environment();
  if (server_) {
    for (auto& [name, value] : server_->worker_environment()) environment[name] = value;
  }
  for (auto& [name, value] : options.environment) environment[name] = value;
  std::vector<std::string> command = std::move(options.wrapper);
  command.push_back(worker_binary());
  for (auto& argument : options.arguments) command.push_back(std::move(argument));
  WorkerProcess::Options start{.command = std::move(command),
                               .environment = std::move(environment),
                               .workdir = folder_.workdir(),
                               .log = options.output.empty() ? folder_.log() : options.output,
                               .on_exit = [this] {
                                 if (server_) server_->nudge();
                                 const std::lock_guard lock(mutex_);
                                 ended_.notify_all();
                               }};
  process_ = std::make_unique<WorkerProcess>(std::move(start));
}

std::optional<int> WorkerRun::wait_for_exit(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  ended_.wait_for(lock, limit, [this] { return process_->exited(); });
  return process_->exit_code();
}

}  // namespace session_server
