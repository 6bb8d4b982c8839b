// Our own cost of a bash call: bash_bench [ROUNDS [CALLS]]. The same commands go through tools::Bash and over
// a bare pipe to a persistent bash, in one process, in alternating rounds; the difference is what we add.

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tools/bash.hpp"
#include "tools/environment.hpp"
#include "tools/unique_fd.hpp"

namespace {

using namespace sandbox_worker::tools;
using Clock = std::chrono::steady_clock;

/// A container's. Each further variable costs bash some 0.8 us, as it prints them after each call.
constexpr std::array<const char*, 7> kEnvironment{
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "HOSTNAME=sandbox",
    "LANG=C.UTF-8",
    "SHELL=/bin/bash",
    "USER=root",
    nullptr};

/// A bash that reads commands from one pipe and prints into another: the least that a call can cost.
class BarePipe {
 public:
  BarePipe() {
    std::array<int, 2> in{};
    std::array<int, 2> out{};
    if (::pipe2(in.data(), O_CLOEXEC) != 0 || ::pipe2(out.data(), O_CLOEXEC) != 0)
      throw std::runtime_error("no pipe");
    input_.reset(in[1]);
    output_.reset(out[0]);
    const UniqueFd child_in(in[0]);
    const UniqueFd child_out(out[1]);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, child_in.get(), 0);
    ::posix_spawn_file_actions_adddup2(&actions, child_out.get(), 1);
    ::posix_spawn_file_actions_adddup2(&actions, child_out.get(), 2);
    std::array<const char*, 4> arguments{"bash", "--norc", "--noprofile", nullptr};
    const int failed =
        ::posix_spawn(&pid_, "/bin/bash", &actions, nullptr, const_cast<char* const*>(arguments.data()),
                      const_cast<char* const*>(kEnvironment.data()));
    ::posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) throw std::runtime_error("no bash");
  }
  BarePipe(const BarePipe&) = delete;
  BarePipe& operator=(const BarePipe&) = delete;
  ~BarePipe() {
    input_.reset();
    ::waitpid(pid_, nullptr, 0);
  }

  void run(const std::string& command) {
    const std::string line = command + "; echo .$?\n";
    if (::write(input_.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()))
      throw std::runtime_error("the bare bash is gone");
    std::string answer;
    std::array<char, 4096> buffer;
    while (!answer.ends_with(".0\n")) {
      const auto count = ::read(output_.get(), buffer.data(), buffer.size());
      if (count <= 0) throw std::runtime_error("the bare bash is gone");
      answer.append(buffer.data(), static_cast<std::size_t>(count));
    }
  }

 private:
  UniqueFd input_;
  UniqueFd output_;
  pid_t pid_ = -1;
};

/// The tool as the worker has it: its loop on this thread, a pool beside it.
class Ours {
 public:
  explicit Ours(const std::string& workdir)
      : bash_({.executor = io_.get_executor(),
               .pool = pool_.get_executor(),
               .workdir = workdir,
               .environment = command_environment({kEnvironment.begin(), kEnvironment.end() - 1}, {}),
               .limits = {},
               .private_dir = workdir,
               .spill = nullptr}) {}
  ~Ours() { pool_.join(); }
  Ours(const Ours&) = delete;
  Ours& operator=(const Ours&) = delete;

  void run(const std::string& command) {
    bool done = false;
    nlohmann::json input{{"command", command}};
    boost::asio::co_spawn(io_, bash_.run(std::move(input)),
                          [&](const std::exception_ptr& error, const ToolResult& result) {
                            if (error || result.is_error) throw std::runtime_error("the call failed");
                            done = true;
                          });
    io_.restart();
    while (!done) io_.run_one();
  }

  /// The loop runs on between calls, as the worker's does.
  void pause(std::chrono::milliseconds time) {
    io_.restart();
    io_.run_for(time);
  }

 private:
  boost::asio::io_context io_{1};
  boost::asio::thread_pool pool_{2};
  Bash bash_;
};

/// On one processor both pay the same for waking the other side; on several, the scheduler's choice of one
/// for each process would count for more than what is measured.
void stay_on_one_processor() {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<unsigned>(std::max(0, ::sched_getcpu())), &one);
  ::sched_setaffinity(0, sizeof one, &one);
}

/// An agent's calls don't follow each other at once: it reads the answer and thinks. What a shell does
/// meanwhile nobody waits for.
constexpr auto kThought = std::chrono::milliseconds(1);

using Times = std::vector<double>;  // microseconds

void measure(Times& times, int calls, const auto& pause, const auto& call) {
  for (int i = 0; i < calls; ++i) {
    pause(kThought);
    const auto begun = Clock::now();
    call();
    times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begun).count());
  }
}

double percentile(Times times, double share) {
  std::ranges::sort(times);
  return times[static_cast<std::size_t>(share * static_cast<double>(times.size() - 1))];
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 20;
  const int calls = argc > 2 ? std::atoi(argv[2]) : 200;
  if (rounds < 1 || calls < 1) return std::cerr << "usage: bash_bench [ROUNDS [CALLS]]\n", 2;
  stay_on_one_processor();
  Ours ours("/tmp");
  std::cout << fmt::format("{} rounds of {} calls each, microseconds a call\n", rounds, calls)
            << fmt::format("{:<12} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}\n", "command", "ours p50",
                           "bare p50", "own cost", "ours p90", "bare p90", "own cost");
  for (const std::string command : {"true", "echo hi"}) {
    Times our_times;
    Times bare_times;
    ours.run(command);
    for (int round = 0; round < rounds; ++round) {
      measure(our_times, calls, [&](auto time) { ours.pause(time); }, [&] { ours.run(command); });
      // Not beside ours, which would look at it after each call, as a process that the call may have left.
      BarePipe bare;
      bare.run(command);
      measure(
          bare_times, calls, [](auto time) { std::this_thread::sleep_for(time); },
          [&] { bare.run(command); });
    }
    std::cout << fmt::format("{:<12}", command);
    for (const double share : {0.5, 0.9}) {
      const double our = percentile(our_times, share);
      const double theirs = percentile(bare_times, share);
      std::cout << fmt::format(" {:>10.0f} {:>10.0f} {:>10.0f}", our, theirs, our - theirs);
    }
    std::cout << "\n";
  }
}
