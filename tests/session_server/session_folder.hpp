#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace session_server {

/// A worker's surroundings for one session: its folder, a runtime directory and a log, gone with this object
/// unless the folder was given.
class SessionFolder {
 public:
  explicit SessionFolder(const std::optional<std::filesystem::path>& workdir);
  ~SessionFolder();
  SessionFolder(const SessionFolder&) = delete;
  SessionFolder& operator=(const SessionFolder&) = delete;

  const std::filesystem::path& workdir() const { return workdir_; }
  std::filesystem::path runtime_dir() const { return root_ / "run"; }
  std::filesystem::path log() const { return root_ / "worker.log"; }
  std::string log_text() const;
  /// The variables that tell the worker of it.
  std::map<std::string, std::string> environment() const;

 private:
  std::filesystem::path root_;
  std::filesystem::path workdir_;
};

}  // namespace session_server
