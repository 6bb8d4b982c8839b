#include "tests/e2e/worker_place.hpp"

#include <signal.h>

#include <fstream>
#include <iterator>

#include "tests/e2e/worker_run.hpp"
#include "tests/support/poll.hpp"

namespace session_server {

using namespace std::chrono_literals;
using sandbox_worker::testing::poll;

namespace {

constexpr auto kLimit = 20s;

}  // namespace

WorkerPlace::WorkerPlace(SessionServer& server) : server_(server), folder_(std::nullopt) {}

WorkerPlace::~WorkerPlace() {
  workers_.clear();
  for (const pid_t pid : processes_below(folder_.workdir())) ::kill(pid, SIGKILL);
}

WorkerProcess& WorkerPlace::start(const std::map<std::string, std::string>& environment) {
  auto variables = folder_.environment();
  for (auto& [name, value] : server_.worker_environment()) variables[name] = value;
  variables["SANDBOX_WORKER_MAX_IDLE"] = "50ms";
  for (auto& [name, value] : environment) variables[name] = value;
  WorkerProcess::Options options{.command = {worker_binary()},
                                 .environment = std::move(variables),
                                 .workdir = folder_.workdir(),
                                 .log = folder_.log(),
                                 .on_exit = [this] { server_.nudge(); }};
  return *workers_.emplace_back(std::make_unique<WorkerProcess>(std::move(options)));
}

WorkerProcess& WorkerPlace::start_for(const std::string& work_id) {
  return start({{"ANTHROPIC_WORK_ID", work_id}});
}

void WorkerPlace::kill(WorkerProcess& worker) {
  worker.signal(SIGKILL);
  wait_for_exit(worker);
  server_.worker_killed();
}

std::optional<int> WorkerPlace::wait_for_exit(WorkerProcess& worker) {
  server_.wait(kLimit, [&](const Service&) { return worker.exited(); });
  return worker.exit_code();
}

bool WorkerPlace::wait_for_log(const std::string& text) {
  return poll(kLimit, [&] { return log().find(text) != std::string::npos; });
}

std::string WorkerPlace::read(const std::string& name) const {
  std::ifstream file(folder_.workdir() / name);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool WorkerPlace::wait_for_file(const std::string& name) {
  return poll(kLimit, [&] { return std::filesystem::exists(folder_.workdir() / name); });
}

std::string WorkerPlace::runtime_files() const {
  std::string names;
  const std::filesystem::path directory = folder_.environment().at("SANDBOX_WORKER_RUNTIME_DIR");
  for (auto& entry : std::filesystem::directory_iterator(directory))
    names += entry.path().filename().string() + " ";
  return names;
}

std::vector<pid_t> WorkerPlace::processes() {
  poll(kLimit, [&] { return processes_below(folder_.workdir()).empty(); });
  return processes_below(folder_.workdir());
}

}  // namespace session_server
