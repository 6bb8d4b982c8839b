#pragma once

#include <atomic>
#include <chrono>
#include <stop_token>
#include <string>
#include <thread>

#include "tests/support/temp_dir.hpp"
#include "tools/unique_fd.hpp"

namespace sandbox_worker::testing {

/// A file system with one empty file that can die as one whose server is gone: whoever asks it then hangs.
/// False where it can't be had. Mounted for the caller's mount namespace, which had better be one of its own:
/// others would hang as well. The destructor lets everybody go, with an error; so destroy it before whatever
/// may wait for those who hang.
class DeadFileSystem {
 public:
  /// From so long after its death on it hangs nobody any more, so that a test fails which would never end.
  explicit DeadFileSystem(std::chrono::seconds patience);
  DeadFileSystem(const DeadFileSystem&) = delete;
  DeadFileSystem& operator=(const DeadFileSystem&) = delete;
  ~DeadFileSystem();

  explicit operator bool() const { return mounted_; }

  std::string path() const { return mount_point_.path().string(); }
  std::string file() const { return mount_point_ / "file"; }

  /// From here on it answers nothing, and keeps nothing of what it has answered. Once.
  void die();
  /// Whether somebody has asked it since it died, and hangs.
  bool hangs_somebody() const;
  bool lost_patience() const { return lost_patience_; }

 private:
  void serve() const;
  void stop_serving();
  void watch(const std::stop_token& stop);
  void let_go() const;

  const std::chrono::seconds patience_;
  const TempDir mount_point_;
  const tools::UniqueFd device_;
  const tools::UniqueFd stop_;  // readable when the server is to stop
  const bool mounted_;
  std::atomic<bool> lost_patience_ = false;
  std::thread server_;     // while it lives
  std::jthread watchdog_;  // while it is dead
};

}  // namespace sandbox_worker::testing
