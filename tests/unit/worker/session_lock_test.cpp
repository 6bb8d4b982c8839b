#include "worker/session_lock.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <csignal>
#include <filesystem>
#include <memory>
#include <optional>

#include "tests/support/temp_dir.hpp"

using namespace sandbox_worker::worker;
using sandbox_worker::testing::TempDir;

TEST_CASE("session lock: one holder, whom the other one can name; free when it is given back") {
  const TempDir dir;
  auto first = std::make_unique<SessionLock>(dir / "lock", "work_1");
  SessionLock second(dir / "lock", "work_2");
  CHECK(first->try_lock() == true);
  CHECK(second.try_lock() == false);
  CHECK(second.holder().pid == ::getpid());
  CHECK(second.holder().work == "work_1");
  first.reset();
  CHECK(second.try_lock() == true);
}

TEST_CASE("session lock: one that is given back leaves no file") {
  const TempDir dir;
  {
    SessionLock lock(dir / "lock", "work_1");
    CHECK(lock.try_lock() == true);
    SessionLock other(dir / "lock", "work_2");
    CHECK(other.try_lock() == false);
  }
  CHECK(dir.list().empty());
}

TEST_CASE("session lock: of a holder that was killed it is free") {
  const TempDir dir;
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    SessionLock lock(dir / "lock", "work_1");
    const char told = lock.try_lock() == true ? 'y' : 'n';
    if (::write(ready[1], &told, 1) == 1) ::pause();
    ::_exit(0);
  }
  char told = 0;
  REQUIRE(::read(ready[0], &told, 1) == 1);
  CHECK(told == 'y');
  SessionLock lock(dir / "lock", "work_2");
  CHECK(lock.try_lock() == false);
  CHECK(lock.holder().pid == child);
  ::kill(child, SIGKILL);
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  CHECK(lock.try_lock() == true);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_CASE("session lock: a turn comes when the holder goes") {
  const TempDir dir;
  const Log log(LogFormat::text, LogLevel::error);
  boost::asio::io_context io;
  auto holder = std::make_unique<SessionLock>(dir / "lock", "work_1");
  REQUIRE(holder->try_lock() == true);
  SessionLock waiting(dir / "lock", "work_2");
  std::optional<Turn> turn;
  boost::asio::co_spawn(
      io,
      [&]() -> boost::asio::awaitable<void> {
        auto outcome = co_await take_turn(waiting, "session", log);
        REQUIRE(outcome);
        turn = *outcome;
      },
      [](std::exception_ptr error) {
        if (error) std::rethrow_exception(error);
      });
  io.poll();
  CHECK_FALSE(turn);
  holder.reset();
  io.run();
  REQUIRE(turn);
  CHECK(turn->waited);
}

TEST_CASE("session lock: a file that can't be made is told with its name") {
  const TempDir dir;
  SessionLock lock(dir / "missing/lock", "work_1");
  const auto outcome = lock.try_lock();
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().find("missing/lock") != std::string::npos);
}

TEST_CASE("session lock: ids that are too long for a file name keep names of their own") {
  CHECK(file_name_of("sesn_1") == "sesn_1");
  const std::string long_id(256, 'a');
  CHECK(file_name_of(long_id).size() < 120);
  CHECK(file_name_of(long_id) != file_name_of(long_id + "b"));
}
