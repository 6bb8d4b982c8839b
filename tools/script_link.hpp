#pragma once

#include <optional>
#include <string>
#include <utility>

namespace sandbox_worker::tools {

/// The name under which a shell opens what it reads its commands from. Bash takes them from a script, as one
/// that takes them from its standard input ends by a segmentation fault where a command copies that
/// descriptor (`3<&0`). It shows the script's name in every message, and it should be `bash`: so here is a
/// private directory with a link of that name to a descriptor of whoever opens it, until it is opened. The
/// destructor removes both.
class ScriptLink {
 public:
  static constexpr const char* kName = "bash";
  /// What the link leads to: the same script, where there can be no link.
  static constexpr const char* kTarget = "/proc/self/fd/87";

  /// In `parent`, under a name that nothing else has. A few system calls. Nothing where that can't be done,
  /// on a full disk say.
  static std::optional<ScriptLink> make(const std::string& parent);
  /// Removes those that a process which was killed has left in `parent`. None may be in use.
  static void remove_left(const std::string& parent);

  ScriptLink(ScriptLink&& other) noexcept : directory_(std::exchange(other.directory_, {})) {}
  ScriptLink& operator=(ScriptLink&&) = delete;
  ~ScriptLink();

  const std::string& directory() const noexcept { return directory_; }

  /// Makes `directory` the working directory where a script can be opened there by that name, and nobody else
  /// can have put another one in its place: what is ours alone can't be changed by others, wherever it lies.
  /// Safe between fork and exec.
  static bool enter(const char* directory) noexcept;

 private:
  explicit ScriptLink(std::string directory) : directory_(std::move(directory)) {}

  std::string directory_;  // empty: moved away
};

}  // namespace sandbox_worker::tools
