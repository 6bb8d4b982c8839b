#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace sandbox_worker::tools {

/// The name under which a shell opens what it reads its commands from. Bash takes them from a script, as one
/// that takes them from its standard input ends by a segmentation fault where a command copies that
/// descriptor (`3<&0`). It shows the script's name in every message, and it should be `bash`: so here is a
/// private directory with a link of that name to a descriptor of whoever opens it.
class ScriptLink {
 public:
  static constexpr const char* kName = "bash";

  /// `directory` is made by the first make().
  explicit ScriptLink(std::string directory) : directory_(std::move(directory)) {}
  ~ScriptLink() { remove(); }
  ScriptLink(const ScriptLink&) = delete;
  ScriptLink& operator=(const ScriptLink&) = delete;

  const std::string& directory() const noexcept { return directory_; }

  /// Makes what isn't there, or is something else: a command may have removed it, a worker that was killed
  /// may have left it. It needs no room on the disk where all is as it should be. A few system calls; the
  /// error is a sentence.
  std::expected<void, std::string> make() const;

  /// Makes `directory` the working directory where it is one that make() has made, wherever it lies now, and
  /// not what another user has put in its place. False, with errno, otherwise. Safe between fork and exec.
  static bool enter(const char* directory) noexcept;

  /// Removes both.
  void remove() const;

 private:
  const std::string directory_;
};

}  // namespace sandbox_worker::tools
