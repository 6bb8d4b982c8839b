#include "tests/session_server/session_folder.hpp"

#include <stdlib.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>

namespace session_server {

SessionFolder::SessionFolder(const std::optional<std::filesystem::path>& workdir) {
  std::string name = std::filesystem::temp_directory_path() / "test-session-XXXXXX";
  if (mkdtemp(name.data()) == nullptr)
    throw std::system_error(errno, std::generic_category(), "can't make " + name);
  root_ = std::filesystem::canonical(name);
  workdir_ = workdir ? std::filesystem::canonical(*workdir) : root_ / "work";
  std::filesystem::create_directories(workdir_);
  std::filesystem::create_directory(root_ / "run");
  std::filesystem::permissions(root_ / "run", std::filesystem::perms::owner_all);
}

SessionFolder::~SessionFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(root_, ignored);
}

std::string SessionFolder::log_text() const {
  std::ifstream file(log());
  return {std::istreambuf_iterator<char>(file), {}};
}

std::map<std::string, std::string> SessionFolder::environment() const {
  return {{"SANDBOX_WORKER_WORKDIR", workdir_},
          {"ANTHROPIC_WORKDIR", workdir_},
          {"SANDBOX_WORKER_RUNTIME_DIR", root_ / "run"}};
}

}  // namespace session_server
