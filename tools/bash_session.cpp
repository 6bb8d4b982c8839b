#include "tools/bash_session.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <chrono>
#include <csignal>
#include <expected>
#include <iterator>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "tools/bash_process.hpp"
#include "tools/bash_report.hpp"
#include "tools/cancelled.hpp"
#include "tools/control_group.hpp"
#include "tools/descendants.hpp"
#include "tools/foreground.hpp"
#include "tools/jobs.hpp"
#include "tools/oom_watch.hpp"
#include "tools/output.hpp"
#include "tools/output_pipe.hpp"
#include "tools/process_table.hpp"
#include "tools/shell.hpp"
#include "tools/syntax_check.hpp"
#include "tools/system_error.hpp"
#include "tools/teardown.hpp"
#include "tools/utf8.hpp"

namespace sandbox_worker::tools {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;
using Kind = CallEnding::Kind;

/// Between INT, TERM and KILL: long enough to save what can be saved, short enough for who waits.
constexpr milliseconds kTimeoutStep = std::chrono::seconds(2);
constexpr auto kInterruptStep = milliseconds(300);

/// After INT, for a shell that goes on to the next command: enough to tidy up, too little for a loop's
/// rounds. The same for a signal that reaches nobody, as bash itself is busy or waits.
constexpr auto kGoesOn = milliseconds(300);

/// How often processes that are being stopped are looked at again.
constexpr auto kStopPoll = milliseconds(20);

/// A fresh shell takes a few milliseconds for the old one's variables; one that takes longer is not waited
/// for.
constexpr auto kRestoreLimit = std::chrono::seconds(5);

/// For another bash to parse a command; most take it some 2 ms.
constexpr auto kSyntaxLimit = std::chrono::seconds(2);

/// For the call that costs a shell to find out where the next one begins.
constexpr auto kSettleLimit = std::chrono::seconds(3);

/// For a restart to find a place, where the pool has much to do.
constexpr auto kRestartLimit = std::chrono::seconds(30);

/// How a shell ended while no command ran.
constexpr std::string_view kEnded = "ended after the last call";
constexpr std::string_view kGivenUp =
    "no longer took commands after the last call (a disabled builtin, or its private descriptors closed)";

/// Of a result, for what jobs have printed between calls, where the call's own output could fill it.
constexpr std::uint64_t kLateShare = kMaxResultCodePoints / 5;

/// A background job that hasn't become its program yet looks like the shell. It gets a moment for that, and
/// so does what got a signal that it may survive, to end.
constexpr auto kJobStart = milliseconds(25);

/// What was killed is gone soon, but not at once on a busy machine. Until then it would count as a job, a
/// shell has its own jobs, and one that waits for it seems to be busy.
constexpr auto kDeath = std::chrono::seconds(2);

asio::awaitable<void> pause(milliseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
}

/// What background jobs have printed, with marks around it; empty for nothing.
std::string late_text(const std::unique_ptr<CallOutput>& late, std::size_t room) {
  if (!late || late->end() == 0) return {};
  std::string text = "[printed by background jobs since the last call:]\n" + late->finish(room);
  add_line(text, "[end of that]\n");
  return text;
}

/// A directory that is gone, without what /proc adds to its name.
std::string_view name_of_gone(std::string_view directory) {
  constexpr std::string_view kMark = " (deleted)";
  if (directory.ends_with(kMark)) directory.remove_suffix(kMark.size());
  return directory;
}

}  // namespace

BashSession::BashSession(BashOptions options)
    : options_(std::move(options)),
      tag_(new_process_tag()),
      wake_(options_.executor),
      next_{.directory = options_.workdir} {}

asio::awaitable<std::optional<ShellPlace>> BashSession::find_place(Clock::time_point deadline) const {
  return find_shell_place(options_.pool, {next_.directory, options_.workdir}, options_.environment, deadline);
}

/// Finds out at once where the next shell will begin, for the call that costs this one to say.
asio::awaitable<void> BashSession::settle_directory() {
  const auto place = co_await find_place(Clock::now() + kSettleLimit);
  if (!place || place->directory == next_.directory) co_return;
  next_.instead_of = name_of_gone(std::exchange(next_.directory, place->directory));
}

/// The problem, if there is one.
asio::awaitable<std::optional<std::string>> BashSession::start_shell(Clock::time_point deadline) {
  if (shell_) co_return std::nullopt;
  auto place = co_await find_place(deadline);
  if (!place) co_return "no shell could be started in time; nothing was run";
  co_return start_shell_in(*std::move(place));
}

std::optional<std::string> BashSession::start_shell_in(ShellPlace place) {
  const std::weak_ptr<BashSession> weak = weak_from_this();
  if (!pipes_) {
    pipes_ = OutputPipes::open(options_.executor, [weak](std::size_t output, std::string_view bytes) {
      if (auto self = weak.lock()) self->on_output(output, bytes);
    });
    if (!pipes_) return system_error_text("make", "pipes for the shell", errno);
    group_ = ControlGroup::make();
  }
  const auto report = [weak](Kind kind) {
    return [weak, kind](int status) {
      if (auto self = weak.lock()) self->finish(kind, status);
    };
  };
  const ShellEvents events{.ended = report(Kind::ended),
                           .died = report(Kind::died),
                           .stuck = [stuck = report(Kind::stuck)] { stuck(0); }};
  const auto outputs = pipes_->open_write_ends();
  if (!outputs) return system_error_text("make", "pipes for the shell", errno);
  ShellOptions shell{.executor = options_.executor,
                     .place = std::move(place),
                     .private_dir = options_.private_dir,
                     .environment = options_.environment,
                     .tag = tag_,
                     .outputs = {},
                     .control_group = group_ ? group_->directory() : -1};
  std::ranges::transform(*outputs, shell.outputs.begin(), &UniqueFd::get);
  auto started = Shell::start(shell, events);
  for (const std::string& other : {options_.workdir, std::string("/")}) {  // it may not be ours to enter
    if (started || !started.error().of_directory || shell.place.directory == other) continue;
    shell.place = {.directory = other, .name = other, .old_directory = {}};
    started = Shell::start(shell, events);
  }
  if (!started) return started.error().text;
  const std::string wanted = std::exchange(next_.directory, shell.place.directory);
  if (next_.directory != wanted)
    begin_note_ =
        fmt::format("[{} can't be entered; the shell began in {}]\n", name_of_gone(wanted), next_.directory);
  shell_ = *std::move(started);
  sessions_.insert(shell_->pid());
  if (options_.on_shell) options_.on_shell(shell_->pid());
  bare_ = true;
  return std::nullopt;
}

ProcessMarks BashSession::marks() const {
  return {.tag = tag_, .sessions = sessions_, .live_shells = live_shells()};
}

void BashSession::on_output(std::size_t output, std::string_view bytes) {
  if (output_ && output == output_pipe_)
    output_->feed(bytes);
  else
    add_late(bytes);
}

void BashSession::add_late(std::string_view bytes) {
  if (bytes.empty()) return;
  if (!late_) late_ = std::make_unique<CallOutput>(options_.spill, "bash");
  late_->feed(bytes);
}

/// Those of jobs, and not what a trap prints that looks like one.
void BashSession::add_notices(std::string_view notices) {
  while (!notices.empty()) {
    const auto line = notices.substr(0, notices.find('\n') + 1);
    notices.remove_prefix(line.size());
    pid_t pid = 0;
    std::from_chars(line.data(), line.data() + line.size(), pid);
    if (jobs_.has_known(pid)) add_late(line);
  }
}

/// Takes what has come of all that is known to print.
void BashSession::drain() {
  if (pipes_) pipes_->drain(jobs_.outputs() | 1U << output_pipe_);
}

/// A pipe that no job prints to; the last call's where there is none. A job that has just been started may
/// have seemed to print where it did before it became its program.
void BashSession::choose_output() {
  for (std::size_t next = 0; next < kOutputs; ++next) {
    const std::size_t output = (output_pipe_ + next) % kOutputs;
    if (!jobs_.print_to(output, [this](pid_t pid) { return outputs_of(pid); }))
      return void(output_pipe_ = output);
  }
}

/// Of a job, or of what it has started where it has closed its own. Where that can't be seen, it may print
/// where the call did that has left it.
OutputSet BashSession::outputs_of(pid_t job) const {
  if (!pipes_) return 0;
  for (const pid_t pid : with_descendants(job)) {
    const OutputSet outputs = pipes_->held_by(pid, kStatusFd).value_or(1U << output_pipe_);
    if (outputs != 0) return outputs;
  }
  return 0;
}

void BashSession::finish(Kind kind, int status) {
  drain();
  if (output_ && (kind == Kind::died ? shell_->begun() : shell_->asked_again()))
    output_->feed(shell_->own_output());
  ending_ = CallEnding{.kind = kind, .status = status};
  if (kind == Kind::died) {
    begun_ = shell_->begun();
    death_ = shell_->given_up() ? kGivenUp : kEnded;
    if (output_ == nullptr && !restoring_) idle_end_ = death_;
  }
  if (kind != Kind::ended) forget_shell();
  wake_.cancel();
}

/// The next call gets a fresh one, with what the last completed call left.
void BashSession::forget_shell() {
  if (!shell_) return;
  next_.directory = shell_->directory();
  next_.instead_of.clear();
  const auto exports = shell_->exports();
  next_.exports = !exports                    ? NextShell::Exports::lost
                  : shell_->exports_are_old() ? NextShell::Exports::of_earlier_call
                                              : NextShell::Exports::of_last_call;
  if (!exports || !exports->empty()) exports_ = exports.value_or("");
  if (is_live_shell(shell_->pid()))
    if (const auto process = process_info(shell_->pid())) killed_.push_back(*process);
  shell_->stop();
  shell_.reset();
}

void BashSession::abandon() {
  if (shell_) shell_->stop();
  shell_.reset();
  if (group_) group_->kill();
  kill_descendants_with(marks());
  if (group_) group_->remove();
  if (pipes_) pipes_->close();
}

asio::awaitable<ToolResult> BashSession::run(std::string command, milliseconds limit, std::string note) {
  const auto deadline = Clock::now() + limit;
  asked_.clear();
  killed_.clear();
  auto refusal = co_await refuse(command, deadline);
  std::optional<std::string> problem;
  if (!refusal) {
    problem = co_await ready_shell(deadline);
    refusal = co_await too_late(deadline);
  }
  if (problem && !refusal) co_return ToolResult::error("bash: " + *problem);
  // Nothing may wait from here to where the command begins, or the shell could end in between.
  choose_output();
  drain();
  const auto kills_before = memory_.read();
  std::expected<StopReason, std::string> stop;
  if (refusal) {
    output_ = std::make_unique<CallOutput>(options_.spill, "bash");
    output_->feed(refusal->text);
    ending_ = CallEnding{.kind = Kind::ended, .status = refusal->status, .begun = false};
    stop = refusal->stop;
  } else {
    stop = co_await run_in_shell(command, deadline);
    if (!stop) co_return ToolResult::error("bash: " + stop.error());
  }
  const auto late = std::exchange(late_, nullptr);
  const std::uint64_t late_share = late ? std::min(late->end(), kLateShare) : 0;
  const std::string own = std::exchange(output_, nullptr)->finish(kMaxResultCodePoints - late_share);
  std::string text =
      late_text(late, kMaxResultCodePoints - std::min(count_code_points(own), kMaxResultCodePoints));
  if (const auto how = std::exchange(idle_end_, {}); !how.empty())
    add_line(text, fmt::format("[the shell {}; this is a fresh one, with directory{}]\n", how,
                               next_.exports == NextShell::Exports::of_earlier_call
                                   ? ", and with the exported variables of an earlier call"
                                   : " and exported variables"));
  if (const auto begin = std::exchange(begin_note_, {}); !begin.empty()) add_line(text, begin);
  CallEnding ending = *std::exchange(ending_, {});
  ending.stop = *stop;
  ending.limit = limit;
  if (ending.by_sigkill()) ending.out_of_memory = memory_.read() > kills_before;

  text += own;
  if (!note.empty()) add_line(text, note);
  if (const std::string jobs = co_await new_jobs(); !jobs.empty()) add_line(text, jobs);
  if (ending.kind != Kind::ended) co_await settle_directory();
  const std::string description = describe(ending, next_);
  if (text.empty() && description.empty()) text = "(no output)";
  if (!description.empty()) add_line(text, description);
  reap_orphans();
  co_return ending.is_error() ? ToolResult::error(std::move(text)) : ToolResult::text(std::move(text));
}

/// A shell that has what it should begin with; the problem otherwise. Variables that can't be handed over now
/// never can, and must not cost every shell to come.
asio::awaitable<std::optional<std::string>> BashSession::ready_shell(Clock::time_point deadline) {
  if (auto problem = co_await start_shell(deadline)) co_return problem;
  if (std::exchange(bare_, false)) co_await restore_variables();
  if (!shell_ && !exports_.empty() && !co_await is_cancelled()) {
    exports_.clear();
    add_line(begin_note_, "[the exported variables can't be handed to the fresh shell; they are lost]\n");
    if (auto problem = co_await start_shell(deadline)) co_return problem;
    if (std::exchange(bare_, false)) co_await restore_variables();
  }
  if (!shell_) co_return "the shell ended while it was started; nothing was run";
  co_return std::nullopt;
}

/// Why a command isn't run: bash would end itself for its syntax, or there was no time to find that out.
asio::awaitable<std::optional<BashSession::Refusal>> BashSession::refuse(std::string_view command,
                                                                         Clock::time_point deadline) {
  if (!may_end_shell(command)) co_return std::nullopt;
  const auto until = std::min(deadline, Clock::now() + kSyntaxLimit);
  auto mistake = co_await find_syntax_mistake(command, options_.environment, until);
  if (!mistake) co_return co_await too_late(deadline);
  Refusal refusal{.text = std::move(mistake->text), .status = mistake->status};
  add_line(refusal.text, "[nothing of the command was run]\n");
  co_return refusal;
}

/// Why a command isn't begun any more, if it isn't.
asio::awaitable<std::optional<BashSession::Refusal>> BashSession::too_late(Clock::time_point deadline) {
  Refusal refusal;
  if (co_await is_cancelled()) {
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    refusal.stop = StopReason::interrupt;
  } else if (Clock::now() >= deadline) {
    refusal.stop = StopReason::timeout;
  } else {
    co_return std::nullopt;
  }
  co_return refusal;
}

/// Runs the command until it has ended or was stopped; the problem otherwise.
asio::awaitable<std::expected<StopReason, std::string>> BashSession::run_in_shell(
    const std::string& command, Clock::time_point deadline) {
  if (auto problem = begin(command)) co_return std::unexpected(*std::move(problem));
  StopReason stop = co_await wait_until(deadline);
  if (ending_ && ending_->kind == Kind::died && !begun_) {  // the shell ended just before
    idle_end_ = death_;
    ending_.reset();
    auto problem = co_await ready_shell(deadline);
    if (const auto refusal = co_await too_late(deadline)) {
      ending_ = CallEnding{.kind = Kind::ended, .begun = false};
      co_return refusal->stop;
    }
    if (!problem) problem = begin(command);
    if (problem) {
      output_.reset();
      co_return std::unexpected(*std::move(problem));
    }
    stop = co_await wait_until(deadline);
  }
  if (!ending_) co_await stop_by_stages(stop);
  co_return stop;
}

/// Hands the command over; from here on what is printed is its own.
std::optional<std::string> BashSession::begin(const std::string& command) {
  if (!output_) output_ = std::make_unique<CallOutput>(options_.spill, "bash");
  ending_.reset();
  begun_ = true;
  if (::access("/proc/self/fd", X_OK) != 0) {  // bash would take the command for an empty one
    output_.reset();
    return "/proc is gone, where bash finds the command; nothing was run";
  }
  if (shell_->run(command, kOutputFds.at(output_pipe_))) {
    add_notices(shell_->take_notices());
    return std::nullopt;
  }
  output_.reset();
  forget_shell();
  return "the command can't be handed to the shell (out of memory?); nothing was run";
}

std::string BashSession::take_late_output() {
  return late_text(std::exchange(late_, nullptr), kMaxResultCodePoints);
}

/// Returns once the call has ended or should be stopped.
asio::awaitable<StopReason> BashSession::wait_until(Clock::time_point deadline) {
  while (!ending_) {
    if (co_await is_cancelled()) {
      co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
      co_return StopReason::interrupt;
    }
    if (Clock::now() >= deadline) co_return StopReason::timeout;
    wake_.expires_at(deadline);
    co_await wake_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  co_return StopReason::none;
}

/// INT, TERM and KILL to the foreground, and at last the end of the shell; at once where that goes on to
/// further programs of the command. Someone who interrupts a call whose time is up is in a hurry: the stage
/// that runs is cut then, and so is each that follows.
asio::awaitable<void> BashSession::stop_by_stages(StopReason reason) {
  Foreground foreground(shell_->pid(), jobs_);
  const auto first = Clock::now();
  for (const int signal : {SIGINT, SIGTERM, SIGKILL}) {
    const auto begun = Clock::now();
    while (!ending_) {
      foreground.signal(signal);
      const bool hurry = reason == StopReason::interrupt || co_await is_cancelled();
      const bool dying = signal == SIGKILL && foreground.reached_any();
      const milliseconds step = dying                      ? kDeath
                                : hurry                    ? kInterruptStep
                                : foreground.reached_any() ? kTimeoutStep
                                                           : kGoesOn;
      if (Clock::now() - begun >= step) break;
      if (foreground.went_on() && Clock::now() - first >= kGoesOn) {
        foreground.kill_with_stopped_shell();
        finish(Kind::stuck, 0);
        break;
      }
      wake_.expires_after(kStopPoll);
      co_await wake_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
  }
  std::ranges::copy(foreground.asked(), std::back_inserter(asked_));
  std::ranges::copy(foreground.killed(), std::back_inserter(killed_));
  if (!ending_) finish(Kind::stuck, 0);
}

/// Gives a fresh shell the exported variables of the one before. It is gone afterwards where that ended it or
/// took too long.
asio::awaitable<void> BashSession::restore_variables() {
  std::string commands;
  const auto profile = value_of(options_.environment, "BASH_ENV");
  if (!exports_.empty())
    commands = restore_commands(exports_);
  else if (profile)
    commands = "export BASH_ENV=" + quote_for_shell(*profile);
  if (commands.empty()) co_return;
  restoring_ = true;
  ending_.reset();
  if (shell_->run(commands, kNowhereFd)) {
    const auto give_up = Clock::now() + kRestoreLimit;
    while (!ending_ && Clock::now() < give_up && !co_await is_cancelled()) {
      wake_.expires_at(give_up);
      co_await wake_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
  }
  if (!ending_) forget_shell();
  restoring_ = false;
  ending_.reset();
}

/// One line for what this call left running.
asio::awaitable<std::string> BashSession::new_jobs() {
  const auto begun = Clock::now();
  for (;;) {
    // Before the look: one that began while a shell was there doesn't see all of its jobs.
    const bool ending = std::ranges::any_of(asked_, still_runs);
    const bool dying = std::ranges::any_of(killed_, still_runs);
    auto look = jobs_.look(shell_ ? shell_->children() : std::vector<pid_t>(), marks(),
                           [this](pid_t pid) { return outputs_of(pid); });
    const auto waited = Clock::now() - begun;
    const bool again = ((look.early || ending) && waited < kJobStart) || (dying && waited < kDeath);
    if (!again) {
      std::string line = jobs_line(look.fresh);
      jobs_.remember(std::move(look));
      co_return line;
    }
    if (co_await is_cancelled())
      co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    co_await pause(milliseconds(1));
  }
}

asio::awaitable<std::optional<std::string>> BashSession::restart() {
  co_await close();
  next_ = {.directory = options_.workdir};
  exports_.clear();
  co_return co_await start_shell(Clock::now() + kRestartLimit);
}

asio::awaitable<void> BashSession::close() {
  const bool throwing = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  if (co_await is_cancelled())
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  co_await end_processes(options_.pool, marks(), group_);
  if (shell_) shell_->stop();
  shell_.reset();
  if (pipes_) {
    pipes_->drain(kAllOutputs);
    pipes_->close();
  }
  pipes_.reset();
  reap_orphans();
  if (group_) group_->remove();
  group_.reset();
  jobs_ = Jobs();
  idle_end_ = {};  // it was asked to
  begin_note_.clear();
  co_await asio::this_coro::throw_if_cancelled(throwing);
}

}  // namespace sandbox_worker::tools
