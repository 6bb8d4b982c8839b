#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string>

#include "tests/e2e/agent.hpp"
#include "tests/e2e/worker_run.hpp"
#include "tests/support/temp_dir.hpp"
#include "tools/unique_fd.hpp"

using namespace session_server;
using namespace std::chrono_literals;
using sandbox_worker::testing::TempDir;
using sandbox_worker::tools::UniqueFd;

namespace {

/// A pipe by name; the test has both ends, so that nobody is ever refused.
class FullPipe {
 public:
  FullPipe() : path_(folder_ / "pipe") {
    REQUIRE(::mkfifo(path_.c_str(), 0600) == 0);
    ends_.reset(::open(path_.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
    REQUIRE(ends_);
    const std::string block(4096, '.');
    while (::write(ends_.get(), block.data(), block.size()) > 0) {
    }
    CHECK(errno == EAGAIN);
  }
  const std::string& path() const { return path_; }
  /// All that is in it now.
  std::string read_out() const {
    std::string text;
    char buffer[4096];
    for (ssize_t size = 0; (size = ::read(ends_.get(), buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<std::size_t>(size));
    return text;
  }

 private:
  TempDir folder_;
  std::string path_;
  UniqueFd ends_;
};

}  // namespace

TEST_CASE("log: a stderr that nobody reads stops neither calls, nor heartbeats, nor the end") {
  Settings settings;
  settings.work.ttl_seconds = 4;
  SessionServer server(settings);
  const FullPipe pipe;
  WorkerRun run(&server, {.arguments = {"--log-level", "debug"}, .output = pipe.path()});
  CHECK(bash(server, "sevt_1", "echo unheard") == "unheard\n");
  CHECK(
      server.wait(20s, [](const Service& service) { return service.handled(RequestKind::heartbeat) >= 3; }));
  CHECK(bash(server, "sevt_2", "echo still there") == "still there\n");
  SUBCASE("the session ends") {
    server.terminate();
    CHECK(run.wait_for_exit() == 0);
  }
  SUBCASE("a signal asks for the end") {
    run.process().signal(SIGTERM);
    CHECK(run.wait_for_exit() == 0);
  }
  CHECK(server.finish().empty());
}

TEST_CASE("log: what is wrong with the usage is said, but not for ever to nobody") {
  const FullPipe pipe;
  WorkerRun run(nullptr, {.arguments = {"--bogus"}, .output = pipe.path()});
  CHECK(run.wait_for_exit() == 2);
}

TEST_CASE("log: a reader that comes late gets what was said meanwhile") {
  SessionServer server;
  const FullPipe pipe;
  WorkerRun run(&server, {.output = pipe.path()});
  CHECK(bash(server, "sevt_1", "echo unheard") == "unheard\n");
  std::string log = pipe.read_out();
  server.terminate();
  CHECK(run.wait_for_exit() == 0);
  log += pipe.read_out();
  CHECK(log.find("starting session=") != std::string::npos);
  CHECK(log.find("id=sevt_1") != std::string::npos);
  CHECK(log.find("ended status=0") != std::string::npos);
}

TEST_CASE("log: warnings have the word that the flag takes, in both formats") {
  for (const char* format : {"text", "json"}) {
    CAPTURE(format);
    SessionServer server;
    WorkerRun run(&server, {.arguments = {"--unrestricted-paths", "--log-format", format}});
    server.terminate();
    CHECK(run.wait_for_exit() == 0);
    const auto log = run.log();
    CAPTURE(log);
    CHECK(log.find(std::string(format) == "text"
                       ? "Z warn  --unrestricted-paths"
                       : R"("level":"warn","message":"--unrestricted)") != std::string::npos);
    CHECK(log.find("warning") == std::string::npos);
  }
}
