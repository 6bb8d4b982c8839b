// Runs glob and grep on a tree as the worker does, through the tools' interface, with limits on output and
// spilled results: search_tool_bench DIRECTORY [rounds]. Says how late a timer of the main thread was
// meanwhile, and the most of that for which the thread was queued for a processor; the kernel hears of the
// rest too late itself, as when the host of a virtual machine has taken the processor away. The same for no
// search at all, and for threads that only compute. Then how long a cancelled call took to come back, and the
// peak of memory.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/bench/search_patterns.hpp"
#include "tools/glob.hpp"
#include "tools/grep.hpp"
#include "tools/prompt_thread.hpp"
#include "tools/spill.hpp"
#include "tools/unique_fd.hpp"
#include "tools/workspace.hpp"

namespace {

using namespace sandbox_worker::tools;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kTick = 1ms;

double milliseconds(Clock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

struct Tick {
  double late = 0;    // ms, from when the timer was due to when it was handled
  double queued = 0;  // ms of that, or all where more was queued for since the tick before
};

/// How many milliseconds this thread has been ready and had no processor, since it began; 0 where the kernel
/// keeps no such books (CONFIG_SCHED_INFO).
double queued_for_a_processor() {
  static const UniqueFd file(::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC));
  std::array<char, 128> text{};
  if (::pread(file.get(), text.data(), text.size() - 1, 0) <= 0) return 0;
  unsigned long long nanoseconds = 0;
  return std::sscanf(text.data(), "%*u %llu", &nanoseconds) == 1 ? static_cast<double>(nanoseconds) / 1e6 : 0;
}

/// Notes how late a timer of `io` is, again and again.
class Heartbeat {
 public:
  explicit Heartbeat(boost::asio::io_context& io) : timer_(io) { wait(); }

  void stop() {
    stopped_ = true;
    timer_.cancel();
  }
  const std::vector<Tick>& ticks() const { return ticks_; }

 private:
  void wait() {
    timer_.expires_after(kTick);
    timer_.async_wait([this](const auto& error) {
      if (error || stopped_) return;
      const double late = milliseconds(Clock::now() - timer_.expiry());
      const double queued = queued_for_a_processor();
      ticks_.push_back({.late = late, .queued = std::min(late, queued - std::exchange(queued_, queued))});
      wait();
    });
  }

  boost::asio::steady_timer timer_;
  bool stopped_ = false;
  double queued_ = queued_for_a_processor();
  std::vector<Tick> ticks_;
};

struct Call {
  double took = 0;          // ms
  double after_cancel = 0;  // ms
  std::vector<Tick> ticks;
};

/// One call on a loop of its own; cancelled after `cancel_after` unless that is 0.
Call run(Tool& tool, const std::string& pattern, Clock::duration cancel_after = 0ms) {
  boost::asio::io_context io;
  boost::asio::cancellation_signal cancel;
  Heartbeat heartbeat(io);
  Call call;
  const auto begin = Clock::now();
  auto cancelled = Clock::time_point::max();
  boost::asio::steady_timer timer(io);
  if (cancel_after > 0ms) {
    timer.expires_after(cancel_after);
    timer.async_wait([&](const auto& error) {
      if (error) return;
      cancelled = Clock::now();
      cancel.emit(boost::asio::cancellation_type::terminal);
    });
  }
  const auto done = [&](std::exception_ptr, ToolResult) {
    const auto end = Clock::now();
    call.took = milliseconds(end - begin);
    if (cancelled < end) call.after_cancel = milliseconds(end - cancelled);
    heartbeat.stop();
    timer.cancel();
  };
  boost::asio::co_spawn(io, tool.run({{"pattern", pattern}}),
                        boost::asio::bind_cancellation_slot(cancel.slot(), done));
  io.run();
  call.ticks = heartbeat.ticks();
  return call;
}

/// What the machine does to the timer without us.
std::vector<Call> idle(int ticks) {
  boost::asio::io_context io;
  Heartbeat heartbeat(io);
  boost::asio::steady_timer end(io, ticks * kTick);
  end.async_wait([&](const auto&) { heartbeat.stop(); });
  io.run();
  return {{.ticks = heartbeat.ticks()}};
}

/// The same while threads only compute.
std::vector<Call> busy(int ticks, unsigned threads) {
  std::atomic<bool> over = false;
  std::vector<std::jthread> computing;
  for (unsigned i = 0; i < threads; ++i)
    computing.emplace_back([&] {
      while (!over.load(std::memory_order_relaxed)) continue;
    });
  auto calls = idle(ticks);
  over = true;
  return calls;
}

void report(std::string_view tool, const std::string& pattern, std::vector<Call> calls) {
  std::vector<Tick> ticks;
  for (const Call& call : calls) ticks.insert(ticks.end(), call.ticks.begin(), call.ticks.end());
  if (ticks.empty()) ticks.emplace_back();
  std::ranges::sort(ticks, {}, &Tick::late);
  std::ranges::sort(calls, {}, &Call::took);
  std::cout << fmt::format("{} {:<30} {:>8.1f} {:>8.2f} {:>8.2f} {:>8.2f}\n", tool, pattern,
                           calls[calls.size() / 2].took, ticks[ticks.size() * 99 / 100].late,
                           ticks.back().late, std::ranges::max(ticks, {}, &Tick::queued).queued)
            << std::flush;
}

void cancel_often(std::string_view name, Tool& tool, const std::string& pattern, int rounds) {
  const double whole = run(tool, pattern).took;
  double worst = 0;
  for (int i = 1; i <= rounds; ++i) {
    const std::chrono::duration<double, std::milli> after(whole * i / (rounds + 1));
    worst =
        std::max(worst, run(tool, pattern, std::chrono::duration_cast<Clock::duration>(after)).after_cancel);
  }
  std::cout << fmt::format("{} {:<30} {:>8.1f}\n", name, pattern, worst) << std::flush;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::cerr << "usage: search_tool_bench DIRECTORY [rounds]\n", 2;
  const std::string root = std::filesystem::canonical(argv[1]).string();
  const int rounds = argc > 2 ? std::stoi(argv[2]) : 7;
  const unsigned threads = std::max(2u, std::thread::hardware_concurrency());
  boost::asio::thread_pool pool(threads);
  wake_promptly();
  const Workspace workspace = Workspace::open(root, {}).value();
  const auto spilled =
      std::filesystem::temp_directory_path() / fmt::format("search-tool-bench.{}", ::getpid());
  const auto spill = SpillStore::open(spilled.string()).value();
  const SearchOptions options{.workspace = &workspace,
                              .pool = pool.get_executor(),
                              .limits = {},
                              .threads = threads,
                              .home = "",
                              .xdg_config = "",
                              .spill = spill.get()};
  Grep grep(options);
  Glob glob(options);
  const auto repeat = [&](Tool& tool, const std::string& pattern) {
    std::vector<Call> calls;
    for (int round = 0; round < rounds; ++round) calls.push_back(run(tool, pattern));
    return calls;
  };
  std::cout << fmt::format("{}, {} threads, {} rounds, milliseconds\n{:<35} {:>8} {:>8} {:>8} {:>8}\n", root,
                           threads, rounds, "a call, and the main thread", "median", "late 99%", "at most",
                           "queued")
            << std::flush;
  report("none", "", idle(500 * rounds));
  report("busy", "", busy(3000 * rounds, threads));
  for (const char* pattern : kGrepPatterns) report("grep", pattern, repeat(grep, pattern));
  report("grep", "return", repeat(grep, "return"));  // some 80 MB, most of it spilled
  for (const char* pattern : kGlobPatterns) report("glob", pattern, repeat(glob, pattern));
  std::cout << fmt::format("{:<35} {:>8}\n", "back after a cancel", "at most");
  cancel_often("grep", grep, "no_such_text_anywhere", 3 * rounds);
  cancel_often("grep", grep, "return", 3 * rounds);
  cancel_often("glob", glob, "**/*.h", 3 * rounds);
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  std::cout << fmt::format("peak memory: {} MB\n", usage.ru_maxrss / 1024);
  pool.join();
  std::filesystem::remove_all(spilled);
}
