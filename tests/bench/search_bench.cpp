// Compares glob and grep with ripgrep and fd on a tree: search_bench DIRECTORY [rounds [PATTERN]]; with a
// pattern, only ours is run, on it, for a profile. Ours is called inside this process, theirs with the start
// of theirs; the answers are compared, all of them and before any limit on output, outside the timing.

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/search_patterns.hpp"
#include "tools/glob_search.hpp"
#include "tools/grep_search.hpp"
#include "tools/match_text.hpp"
#include "tools/workspace.hpp"

extern char** environ;

namespace {

using namespace sandbox_worker::tools;
using Lines = std::vector<std::string>;
using Clock = std::chrono::steady_clock;

struct Place {
  std::string root;
  Workspace workspace;
  boost::asio::thread_pool& pool;
  unsigned threads;

  SearchPlace open() const {
    return std::move(open_search_place({.workspace = &workspace,
                                        .pool = pool.get_executor(),
                                        .limits = {},
                                        .threads = threads,
                                        .home = "",
                                        .xdg_config = "",
                                        .spill = nullptr},
                                       ".")
                         .value());
  }
};

double milliseconds(Clock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

std::string run_grep(const Place& place, const std::string& pattern) {
  const Deadline deadline;
  const auto search = LineSearch::compile(pattern).value();
  std::string all;
  grep(search, place.open(), deadline, [&](const MatchChunk& chunk) { all += chunk.text; });
  return all;
}

std::string run_glob(const Place& place, const std::string& pattern) {
  const Deadline deadline;
  const auto compiled = GlobPattern::compile(pattern).value();
  const auto at = place.open();
  std::string all;
  for (const auto& hit : glob(compiled, false, at, place.workspace, deadline, 1'000'000).newest)
    (all += at.below(hit.path)) += '\n';
  return all;
}

std::string run_command(std::vector<std::string> command, const std::string& directory) {
  const std::string out = fmt::format("/dev/shm/search_bench.{}", ::getpid());
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  ::posix_spawn_file_actions_addchdir_np(&actions, directory.c_str());
  std::vector<char*> arguments;
  for (auto& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  pid_t pid = 0;
  if (::posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ) == 0)
    ::waitpid(pid, nullptr, 0);
  ::posix_spawn_file_actions_destroy(&actions);
  return out;
}

Lines sorted_lines(const std::string& text) {
  Lines lines;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    std::string line;
    append_valid_utf8(line, std::string_view(text).substr(at, end - at));
    if (line.ends_with('\r')) line.pop_back();
    // Long lines are cut differently.
    if (line.size() > 1500) line.resize(line.find(':', line.find(':') + 1));
    lines.push_back(std::move(line));
    at = end + 1;
  }
  std::ranges::sort(lines);
  return lines;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// Processor time, which says more than the clock when others use the machine too.
double processor_ms(int who) {
  rusage usage{};
  ::getrusage(who, &usage);
  return 1000 * (seconds(usage.ru_utime) + seconds(usage.ru_stime));
}

double median(std::vector<double> times) {
  std::ranges::sort(times);
  return times[times.size() / 2];
}

/// Clock and processor time of several runs.
struct Times {
  std::vector<double> clock;
  std::vector<double> processor;

  std::string measure(int who, const auto& run) {
    const double before = processor_ms(who);
    const auto start = Clock::now();
    std::string out = run();
    clock.push_back(milliseconds(Clock::now() - start));
    processor.push_back(processor_ms(who) - before);
    return out;
  }
};

std::string heading(std::string_view what, std::string_view other, std::string_view found) {
  return fmt::format("{:<30} {:>8} {:>8} {:>6} {:>8} {:>8} {:>8}\n", what, "ours", other, "ratio", "cpu",
                     "cpu", found);
}

double compare(const std::string& what, int rounds, const auto& ours, const auto& theirs) {
  Times our_times;
  Times their_times;
  std::string our_answer;
  std::string their_answer;
  for (int round = 0; round < rounds; ++round) {
    our_answer = our_times.measure(RUSAGE_SELF, ours);
    their_answer = their_times.measure(RUSAGE_CHILDREN, theirs);
  }
  const Lines a = sorted_lines(our_answer);
  const Lines b = sorted_lines(read_file(their_answer));
  std::filesystem::remove(their_answer);
  const double ratio = median(their_times.clock) / median(our_times.clock);
  std::string verdict = "same";
  if (a != b) {
    const auto [in_a, in_b] = std::ranges::mismatch(a, b);
    verdict = fmt::format("DIFFERENT ({} lines there)\n    ours:   {}\n    theirs: {}", b.size(),
                          in_a == a.end() ? "-" : in_a->substr(0, 200),
                          in_b == b.end() ? "-" : in_b->substr(0, 200));
  }
  std::cout << fmt::format("{:<30} {:>8.1f} {:>8.1f} {:>6.2f} {:>8.1f} {:>8.1f} {:>8} {}\n", what,
                           median(our_times.clock), median(their_times.clock), ratio,
                           median(our_times.processor), median(their_times.processor), a.size(), verdict)
            << std::flush;
  return std::log(ratio);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::cerr << "usage: search_bench DIRECTORY [rounds]\n", 2;
  const std::string root = std::filesystem::canonical(argv[1]).string();
  const int rounds = argc > 2 ? std::stoi(argv[2]) : 7;
  const unsigned threads = std::max(2u, std::thread::hardware_concurrency());
  boost::asio::thread_pool pool(threads);
  const Place place{root, Workspace::open(root, {}).value(), pool, threads};
  if (argc > 3) {
    Times times;
    for (int round = 0; round < rounds; ++round) {
      times.measure(RUSAGE_SELF, [&] { return run_grep(place, argv[3]); });
    }
    std::cout << fmt::format("{}: median {:.2f} ms, least {:.2f}, {:.2f} of processor\n", argv[3],
                             median(times.clock), std::ranges::min(times.clock), median(times.processor));
    return pool.join(), 0;
  }
  std::cout << fmt::format("{}, {} threads, median of {} rounds, milliseconds\n", root, threads, rounds)
            << heading("grep", "rg", "lines");
  double sum = 0;
  for (const std::string pattern : kGrepPatterns) {
    sum += compare(
        pattern, rounds, [&] { return run_grep(place, pattern); },
        [&] {
          return run_command({"rg", "--no-config", "--hidden", "-g", "!.git", "-g", "!node_modules", "-n",
                              "--no-heading", "-e", pattern, root},
                             root);
        });
  }
  std::cout << fmt::format("geometric mean {:.2f}\n",
                           std::exp(sum / static_cast<double>(std::size(kGrepPatterns))));
  std::cout << heading("glob", "fd", "files");
  sum = 0;
  struct GlobRow {
    std::string ours;
    std::string theirs;  // fd matches whole absolute paths
  };
  const GlobRow globs[] = {{kGlobPatterns[0], kGlobPatterns[0]},
                           {kGlobPatterns[1], root + "/" + kGlobPatterns[1]},
                           {kGlobPatterns[2], kGlobPatterns[2]}};
  for (const auto& row : globs) {
    sum += compare(
        row.ours, rounds, [&] { return run_glob(place, row.ours); },
        [&] {
          return run_command({"fdfind", "-H", "-E", ".git", "-E", "node_modules", "-t", "f", "-t", "l", "-p",
                              "-g", row.theirs, root},
                             root);
        });
  }
  std::cout << fmt::format("geometric mean {:.2f}\n", std::exp(sum / static_cast<double>(std::size(globs))));
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  std::cout << fmt::format("peak memory, with the answers kept for comparing: {} MB\n",
                           usage.ru_maxrss / 1024);
  pool.join();
}
