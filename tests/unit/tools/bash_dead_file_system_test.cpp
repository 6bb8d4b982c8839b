// File systems that have died: whoever asks one hangs. Commands may, the worker may not.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <system_error>

#include "tests/support/bash_lane.hpp"
#include "tests/support/dead_file_system.hpp"
#include "tests/support/left_out.hpp"
#include "tests/support/mount_namespace.hpp"
#include "tools/bash_process.hpp"
#include "tools/environment.hpp"
#include "tools/output_pipe.hpp"
#include "tools/unique_fd.hpp"

using namespace sandbox_worker::tools;
using sandbox_worker::testing::BashLane;
using sandbox_worker::testing::DeadFileSystem;
using sandbox_worker::testing::in_mount_namespace;
using sandbox_worker::testing::leave_out;

namespace {

using namespace std::chrono_literals;

/// Far more than a call takes that waits for a file system no longer than it should.
constexpr auto kPatience = 30s;

/// With a lane in a mount namespace of its own, where nobody else can meet the dead file system. That lets go
/// of everybody before the lane ends, whose pool waits for all that it has begun.
void with_dying_file_system(const std::function<void(BashLane&, DeadFileSystem&)>& test) {
  bool tried = false;
  in_mount_namespace([&] {
    BashLane lane;
    {
      DeadFileSystem files(kPatience);
      if (!files) return;
      tried = true;
      test(lane, files);
      CHECK_FALSE(files.lost_patience());
    }
    lane.close();  // a process that was killed with a file open there has only now ended
  });
  if (!tried) leave_out("FUSE");
}

std::string standard_input_of(pid_t pid) {
  std::error_code failed;
  return std::filesystem::read_symlink(fmt::format("/proc/{}/fd/0", pid), failed).string();
}

}  // namespace

TEST_CASE("bash: a job with a file open on a file system that has died delays no call, and no close") {
  with_dying_file_system([](BashLane& lane, DeadFileSystem& files) {
    lane.text("sleep 1000 <" + files.file() + " & echo $! >pid");
    const pid_t job = lane.pid_in("pid");
    REQUIRE(lane.until([&] { return standard_input_of(job) == files.file(); }));
    files.die();
    // Each looks at what the jobs print to, to find a pipe of its own, until there is none left.
    for (std::size_t call = 0; call <= kOutputs; ++call) {
      CHECK(lane.text("echo x") == "x\n");
      lane.text("sleep 1000 & :");
    }
    lane.close();
    // The job is still about to close its file.
    const auto again = lane.text("echo again");
    CHECK_MESSAGE(again.starts_with("again\n"), again);
  });
}

TEST_CASE("bash: a shell that ends in a file system that has died is replaced by one in the workdir") {
  with_dying_file_system([](BashLane& lane, DeadFileSystem& files) {
    const std::string workdir = lane.dir.path().string();
    lane.text("export E=kept; cd " + files.path());
    files.die();
    const auto killed = lane.text("kill -9 $$");
    CHECK_MESSAGE(killed.find(fmt::format("fresh shell in {}, as {} can't be entered any more, with", workdir,
                                          files.path())) != std::string::npos,
                  killed);
    CHECK(lane.text("pwd; echo $E") == workdir + "\nkept\n");
    lane.close();
  });
}

TEST_CASE("bash: a start in a file system that has died is given up in time") {
  with_dying_file_system([](BashLane&, DeadFileSystem& files) {
    files.die();
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    const Environment none;
    const BashStart start{.directory = files.path(),
                          .script_place = "",
                          .environment = none,
                          .command = null.get(),
                          .outputs = {null.get(), null.get(), null.get()}};
    const auto started = start_bash(start);
    REQUIRE(!started);
    CHECK(started.error().of_directory);
    CHECK(started.error().text.find(files.path()) != std::string::npos);
  });
}
