#pragma once

#include <sys/types.h>

#include <boost/asio/awaitable.hpp>
#include <expected>
#include <string>

#include "tools/unique_fd.hpp"
#include "worker/log.hpp"

namespace sandbox_worker::worker {

/// Something that one living worker on this machine may hold: a session, or a work item. A lock on a file of
/// the runtime directory, which the kernel frees when the holder is gone, however it went. The file says who
/// that is. The destructor frees it.
class SessionLock {
 public:
  struct Holder {
    pid_t pid = 0;  // 0: not known yet
    std::string work;
  };

  /// `work`: our work item, for others to read.
  SessionLock(std::string path, std::string work);
  ~SessionLock();
  SessionLock(const SessionLock&) = delete;
  SessionLock& operator=(const SessionLock&) = delete;

  /// Whether it is ours now; never waits. The error is a sentence that names the file.
  std::expected<bool, std::string> try_lock();
  /// Who else had it at the last try.
  const Holder& holder() const { return holder_; }

 private:
  const std::string path_;
  const std::string work_;
  tools::UniqueFd fd_;  // while it is ours
  Holder holder_;
};

/// What taking a lock came to.
struct Turn {
  bool waited = false;
};

/// Waits until the lock is ours; `what` is served by its holder meanwhile, for the log. Cancelled: throws
/// operation_aborted.
boost::asio::awaitable<std::expected<Turn, std::string>> take_turn(SessionLock& lock, std::string what,
                                                                   const Log& log);

/// The part of a file name that stands for an id; ids too long for one are cut, with a checksum of the whole.
std::string file_name_of(std::string_view id);

}  // namespace sandbox_worker::worker
