// The worker is killed at every step of a session and started again: every call runs at most once, is
// answered exactly once, and nothing of it stays behind.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <mutex>
#include <random>
#include <thread>

#include "tests/e2e/worker_place.hpp"
#include "tests/e2e/worker_run.hpp"

using namespace session_server;
using namespace std::chrono_literals;

namespace {

constexpr auto kLimit = 30s;
constexpr int kEnoughFailures = 5;

// The requests of a session without a kill: a heartbeat, session, stream, history, a post for each call, the
// stop.
constexpr std::size_t kRequests = 18;
constexpr std::size_t kRounds = 16;      // each of these requests, each time with another session
constexpr std::size_t kTimePoints = 60;  // and these many moments of their own
constexpr auto kLongest = 400ms;         // a session takes about as long on an idle machine

struct KillPoint {
  std::size_t request = 0;             // before this request is answered; 0: by time
  std::chrono::microseconds after{0};  // its start
  std::size_t second_request = 0;      // the next worker, too; 0: not
  unsigned seed = 0;

  std::string text() const {
    return fmt::format("request {}, after {} us, then request {}, seed {}", request, after.count(),
                       second_request, seed);
  }
};

/// A worker whose first heartbeat has no answer on record looks for 1.5 intervals whether another renews the
/// lease. A sanitizer's worker takes seconds to its first beat where the machine is busy.
Settings quick_lease() {
  Settings settings;
  settings.work.ttl_seconds = is_sanitized() ? 12 : 6;
  return settings;
}

NewCall call(std::string id, std::string name, Json input, std::string thread = {}) {
  NewCall call{.id = std::move(id), .name = std::move(name), .input = std::move(input)};
  if (!thread.empty()) call.thread = std::move(thread);
  return call;
}

/// Counts its runs in a file.
NewCall counted(const std::string& id, const std::string& command, std::string thread = {}) {
  return call(id, "bash", {{"command", fmt::format("echo x >> count-{}; {}", id, command)}},
              std::move(thread));
}

/// One session: some calls are there before the worker is, others come while it runs.
std::vector<NewCall> calls_before() {
  return {
      call("write", "write", {{"file_path", "written"}, {"content", "first\n"}}),
      counted("append", "echo second >> written"),
      counted("job", "sleep 300 & (setsid sleep 300 &); echo started"),
      counted("slow", "sleep 0.03; echo done", "sthr_b"),
      call("edit", "edit", {{"file_path", "edited"}, {"old_string", "end"}, {"new_string", "+end"}},
           "sthr_b"),
      counted("big", "seq 1 12000", "sthr_b"),
  };
}
std::vector<NewCall> calls_later() {
  return {
      counted("spilled", "seq 1 60000"),
      call("read", "read", {{"file_path", "large"}}),
      counted("late", "cd /; echo $PWD", "sthr_b"),
      call("glob", "glob", {{"pattern", "**/*"}}, "sthr_c"),
      call("grep", "grep", {{"pattern", "line"}}, "sthr_c"),
      call("edit_again", "edit", {{"file_path", "edited"}, {"old_string", "end"}, {"new_string", "+end"}},
           "sthr_b"),
  };
}

class KilledSession {
 public:
  explicit KilledSession(const KillPoint& point)
      : point_(point), server_(quick_lease(), server_options()), place_(server_) {
    std::ofstream(place_.folder().workdir() / "edited") << "end";
    std::ofstream large(place_.folder().workdir() / "large");
    for (int i = 0; i < 8000; ++i) large << "a line of a large file\n";
  }

  /// What was wrong, one line each.
  std::vector<std::string> play() {
    for (auto& each : calls_before()) server_.call(each);
    WorkerProcess* worker = &start(point_.request);
    std::thread by_time;
    if (point_.request == 0) {
      by_time = std::thread([this, worker] {
        std::this_thread::sleep_for(point_.after);
        worker->signal(SIGKILL);
      });
    }
    std::thread agent([this] {
      server_.wait(kLimit, [](const Service& service) { return answers(service) >= 3; });
      for (auto& each : calls_later()) server_.call(each);
      server_.wait(kLimit, [](const Service& service) { return answers(service) >= 12; });
      server_.idle();
    });
    bool stopped = survive(worker);
    if (by_time.joinable()) by_time.join();
    if (!stopped && worker->exit_code() == 128 + SIGKILL) {
      server_.worker_killed();
      worker = &start(point_.second_request);
      stopped = survive(worker);
      if (!stopped && worker->exit_code() == 128 + SIGKILL) {
        server_.worker_killed();
        worker = &start(0);
        stopped = survive(worker);
      }
    }
    agent.join();
    check(*worker, stopped);
    return std::move(problems_);
  }

  std::string log() const { return place_.log(); }
  std::size_t kills() const { return kills_; }

 private:
  static std::size_t answers(const Service& service) {
    const auto& calls = service.session.calls();
    return static_cast<std::size_t>(
        std::ranges::count_if(calls, [](const auto& entry) { return !entry.second.answers.empty(); }));
  }

  /// Kills the worker from the server's own thread, before it is answered.
  SessionServer::Options server_options() {
    SessionServer::Options options;
    options.on_request = [this](std::size_t number) {
      if (kill_at_ == 0 || number != first_request_ + kill_at_) return;
      while (pid_ == 0) std::this_thread::yield();  // it is faster than its own start's return
      ::kill(pid_, SIGKILL);
    };
    return options;
  }

  WorkerProcess& start(std::size_t kill_at) {
    first_request_ = server_.inspect([](const Service& service) { return service.requests().size(); });
    pid_ = 0;
    kill_at_ = kill_at;
    auto& worker = place_.start();
    pid_ = worker.pid();
    return worker;
  }

  /// Until the worker is gone; whether it had stopped the item.
  bool survive(WorkerProcess* worker) {
    if (!place_.wait_for_exit(*worker)) problem("a worker did not end");
    kill_at_ = 0;
    if (worker->exit_code() == 128 + SIGKILL) ++kills_;
    return server_.inspect([](const Service& service) { return service.work.stopped_by_worker(); });
  }

  void problem(std::string text) { problems_.push_back(std::move(text)); }

  void check(WorkerProcess& last, bool stopped) {
    if (!stopped) problem("the item was not stopped");
    const bool killed_at_the_end = last.exit_code() == 128 + SIGKILL;
    if (!killed_at_the_end && last.exit_code() != 0) {
      problem(fmt::format("exit code {}", last.exit_code().value_or(-1)));
    }
    server_.inspect([&](const Service& service) {
      for (const auto& [id, made] : service.session.calls()) {
        if (made.answers.size() != 1) problem(fmt::format("{} has {} answers", id, made.answers.size()));
        if (made.answers.size() == 1) check_call(id, made);
      }
    });
    check_edits();
    for (auto& violation : server_.finish()) problem("violation: " + violation);
    for (const pid_t pid : place_.processes()) problem(fmt::format("process {} was left", pid));
    if (const auto left = place_.runtime_files(); !left.empty() && !killed_at_the_end)
      problem("left: " + left);
  }

  static bool interrupted(const Call& made) {
    return made.answers.front().is_error && text_of(made.answers.front().content).find("interrupted") == 0;
  }

  void check_call(const std::string& id, const Call& made) {
    const auto text = text_of(made.answers.front().content);
    if (made.answers.front().is_error && !interrupted(made))
      problem(fmt::format("{}: {}", id, text.substr(0, 100)));
    if (made.made.name != "bash") return;
    const auto count = place_.read("count-" + id);
    // What ran to its end ran once; what was cut ran once, or was cut before it had counted.
    if (count != "x\n" && !(count.empty() && interrupted(made))) {
      problem(fmt::format("{} ran {} times: {}", id, count.size() / 2, text.substr(0, 100)));
    }
  }

  /// A second run of an edit would add a second mark, a second run of the write would take the appended line
  /// away.
  void check_edits() {
    server_.inspect([&](const Service& service) {
      std::size_t sure = 0;
      for (const auto* id : {"edit", "edit_again"}) {
        const Call* made = service.session.find(id);
        if (made && made->answers.size() == 1 && !made->answers.front().is_error) ++sure;
      }
      const auto edited = place_.read("edited");
      const auto marks = static_cast<std::size_t>(std::ranges::count(edited, '+'));
      if (marks > 2 || marks < sure) problem(fmt::format("edited: {}, {} edits were told", edited, sure));
    });
    if (place_.read("count-append") == "x\n" && place_.read("written").find("second") == std::string::npos) {
      if (!append_was_cut()) problem("written: " + place_.read("written"));
    }
  }
  bool append_was_cut() const {
    return server_.inspect(
        [](const Service& service) { return interrupted(*service.session.find("append")); });
  }

  const KillPoint point_;
  std::atomic<pid_t> pid_{0};
  std::atomic<std::size_t> first_request_{0};
  std::atomic<std::size_t> kill_at_{0};
  std::size_t kills_ = 0;
  std::vector<std::string> problems_;
  SessionServer server_;
  WorkerPlace place_;
};

std::vector<KillPoint> kill_points() {
  std::random_device entropy;
  const unsigned seed = entropy();
  std::mt19937 random(seed);
  std::vector<KillPoint> points;
  for (std::size_t round = 0; round < kRounds; ++round) {
    for (std::size_t request = 1; request <= kRequests; ++request) {
      const std::size_t second = round % 2 == 1 ? 1 + random() % kRequests : 0;
      points.push_back({.request = request, .second_request = second, .seed = seed});
    }
  }
  const auto longest = std::chrono::microseconds(kLongest).count();
  for (std::size_t i = 0; i < kTimePoints; ++i) {
    const auto after =
        std::chrono::microseconds(static_cast<long>(i) * longest / static_cast<long>(kTimePoints));
    const std::size_t second = i % 2 == 1 ? 1 + random() % kRequests : 0;
    points.push_back({.after = after, .second_request = second, .seed = seed});
  }
  return points;
}

}  // namespace

TEST_CASE("kill: at every step of a session, nothing is lost, nothing runs twice, nothing is left") {
  const auto points = kill_points();
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> kills{0};
  std::mutex mutex;
  std::string failures;
  int failed = 0;
  const auto work = [&] {
    for (std::size_t i = next++; i < points.size(); i = next++) {
      KilledSession session(points[i]);
      const auto problems = session.play();
      kills += session.kills();
      if (problems.empty()) continue;
      const std::lock_guard lock(mutex);
      if (++failed == kEnoughFailures) next = points.size();
      failures += fmt::format("killed at {}:\n  {}\n{}\n", points[i].text(), fmt::join(problems, "\n  "),
                              session.log());
    }
  };
  // A sanitizer's worker computes where others wait.
  const int at_once = is_sanitized() ? 4 : 8;
  std::vector<std::thread> threads;
  for (int i = 0; i < at_once; ++i) threads.emplace_back(work);
  for (auto& thread : threads) thread.join();
  CHECK(failures == "");
  CHECK(kills >= 200);
}
