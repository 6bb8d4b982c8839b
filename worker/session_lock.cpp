#include "worker/session_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <boost/crc.hpp>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <string_view>
#include <utility>

#include "worker/wait.hpp"

namespace sandbox_worker::worker {

using namespace std::chrono_literals;

namespace {

/// Between looks at a lock that another one holds: a look is two system calls.
constexpr auto kLookAgain = 50ms;

constexpr std::size_t kMaxIdInName = 100;

/// `<pid> <work id>`
SessionLock::Holder read_holder(int fd) {
  std::array<char, 512> buffer;
  const ssize_t count = ::pread(fd, buffer.data(), buffer.size(), 0);
  const std::string_view text(buffer.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
  SessionLock::Holder holder;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), holder.pid);
  const auto at = static_cast<std::size_t>(end - text.data());
  if (error != std::errc() || at >= text.size() || text[at] != ' ') return {};
  holder.work = text.substr(at + 1);
  return holder;
}

/// A holder that ends takes the file away; a lock on one that has no name any more holds off nobody.
bool still_has_name(int fd, const std::string& path) {
  struct stat ours{};
  struct stat named{};
  return ::fstat(fd, &ours) == 0 && ::lstat(path.c_str(), &named) == 0 && ours.st_ino == named.st_ino &&
         ours.st_dev == named.st_dev;
}

}  // namespace

SessionLock::SessionLock(std::string path, std::string work)
    : path_(std::move(path)), work_(std::move(work)) {}

SessionLock::~SessionLock() {
  if (fd_) ::unlink(path_.c_str());  // while it is ours, so that nobody else's is taken away
}

std::expected<bool, std::string> SessionLock::try_lock() {
  const auto failed = [&](std::string_view what) {
    return std::unexpected(fmt::format("{}: {}: {}", path_, what, std::strerror(errno)));
  };
  for (;;) {
    tools::UniqueFd fd(::open(path_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd) return failed("open");
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) return failed("lock");
      holder_ = read_holder(fd.get());
      return false;
    }
    if (!still_has_name(fd.get(), path_)) continue;
    const auto text = fmt::format("{} {}", ::getpid(), work_);
    // Only for people who read a log: a full disk is no reason not to serve.
    if (::ftruncate(fd.get(), 0) == 0) {
      [[maybe_unused]] const ssize_t told = ::pwrite(fd.get(), text.data(), text.size(), 0);
    }
    fd_ = std::move(fd);
    return true;
  }
}

boost::asio::awaitable<std::expected<Turn, std::string>> take_turn(SessionLock& lock, std::string what,
                                                                   const Log& log) {
  Turn turn;
  pid_t told = 0;
  for (;;) {
    const auto locked = lock.try_lock();
    if (!locked) co_return std::unexpected(locked.error());
    if (*locked) break;
    const auto& holder = lock.holder();
    if (!turn.waited || holder.pid != told) {
      log.info("waiting for another worker, which serves this " + what + " on this machine",
               {{"pid", holder.pid}, {"its_work", holder.work}, {"our_pid", ::getpid()}});
      told = holder.pid;
    }
    turn.waited = true;
    co_await sleep_until(std::chrono::steady_clock::now() + kLookAgain);
  }
  if (turn.waited) log.info("the other worker is gone, it is our turn", {{"pid", told}});
  co_return turn;
}

std::string file_name_of(std::string_view id) {
  if (id.size() <= kMaxIdInName) return std::string(id);
  boost::crc_32_type sum;
  sum.process_bytes(id.data(), id.size());
  return fmt::format("{}-{:08x}", id.substr(0, kMaxIdInName), sum.checksum());
}

}  // namespace sandbox_worker::worker
