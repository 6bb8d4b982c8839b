#include "tools/bash.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <csignal>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "tools/descendants.hpp"
#include "tools/input.hpp"
#include "tools/oom_watch.hpp"
#include "tools/output.hpp"
#include "tools/process_table.hpp"
#include "tools/shell.hpp"
#include "tools/text.hpp"

namespace sandbox_worker::tools {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

/// Between INT, TERM and KILL: long enough to save what can be saved, short enough for who waits.
constexpr auto kTimeoutStep = std::chrono::seconds(2);
constexpr auto kInterruptStep = milliseconds(300);
constexpr auto kTeardownGrace = milliseconds(300);
constexpr auto kTeardownLimit = milliseconds(1000);

/// How often processes that are being stopped are looked at again.
constexpr auto kStopPoll = milliseconds(20);

/// A fresh shell takes a few milliseconds for the old one's variables; one that takes longer is not waited
/// for.
constexpr auto kRestoreLimit = std::chrono::seconds(5);

std::string time_words(milliseconds time) {
  if (time.count() % 1000 == 0) return fmt::format("{} s", time.count() / 1000);
  return fmt::format("{} ms", time.count());
}

std::string quote(std::string_view text) {
  std::string quoted = "'";
  for (const char byte : text) {
    if (byte == '\'')
      quoted += "'\\''";
    else
      quoted += byte;
  }
  return quoted + "'";
}

void add_line(std::string& text, std::string_view line) {
  if (!text.empty() && !text.ends_with('\n')) text += '\n';
  text += line;
}

asio::awaitable<void> pause(milliseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
}

/// What a finished call was like, for its text.
struct Ending {
  enum class Kind { ended, died, stuck } kind = Kind::ended;
  int status = 0;  // exit status, or wait status of the shell
};

}  // namespace

class Bash::Session : public std::enable_shared_from_this<Bash::Session> {
 public:
  explicit Session(BashOptions options)
      : options_(std::move(options)), wake_(options_.executor), tag_(new_process_tag()) {
    directory_ = options_.workdir;
  }

  asio::awaitable<ToolResult> run(nlohmann::json json);
  asio::awaitable<void> close();
  void abandon();
  std::optional<std::string> start_shell();

 private:
  enum class Stop { none, timeout, interrupt };

  asio::awaitable<ToolResult> run_command(std::string command, milliseconds limit, std::string note);
  asio::awaitable<Stop> wait_for_end(Clock::time_point deadline);
  asio::awaitable<void> restore_variables();
  asio::awaitable<std::string> new_jobs();
  void signal_foreground(int signal, std::set<pid_t>& signalled);
  void forget_shell();
  void on_output(std::string_view bytes);
  void finish(Ending ending);
  std::string describe(const Ending& ending, Stop stop, milliseconds limit, bool out_of_memory);

  BashOptions options_;
  asio::steady_timer wake_;  // cancelled when the call has ended
  std::uint64_t tag_;
  std::shared_ptr<Shell> shell_;
  std::set<pid_t> sessions_;            // of all shells so far, for finding what they left
  std::string directory_;               // for the next shell
  std::string exports_;                 // the same; empty: those of options_.environment
  std::unique_ptr<CallOutput> output_;  // of the running call
  std::unique_ptr<CallOutput> late_;    // of background jobs, between calls
  bool discard_output_ = false;
  bool bare_ = false;             // the shell hasn't got the variables yet that it should begin with
  bool ended_idle_ = false;       // a shell ended between calls, which the next one is told
  std::optional<Ending> ending_;  // of the running call
  std::vector<pid_t> jobs_;       // children of the shell before the running call
};

std::optional<std::string> Bash::Session::start_shell() {
  if (shell_) return std::nullopt;
  const std::weak_ptr<Session> weak = weak_from_this();
  ShellEvents events{.output =
                         [weak](std::string_view bytes) {
                           if (auto self = weak.lock()) self->on_output(bytes);
                         },
                     .ended =
                         [weak](int status) {
                           if (auto self = weak.lock()) self->finish({Ending::Kind::ended, status});
                         },
                     .died =
                         [weak](int status) {
                           if (auto self = weak.lock()) self->finish({Ending::Kind::died, status});
                         },
                     .stuck =
                         [weak] {
                           if (auto self = weak.lock()) self->finish({Ending::Kind::stuck, 0});
                         }};
  ShellOptions shell{.executor = options_.executor,
                     .directory = directory_,
                     .environment = options_.environment,
                     .tag = tag_};
  auto started = Shell::start(shell, events);
  if (!started && directory_ != options_.workdir) {  // the directory may be gone
    shell.directory = directory_ = options_.workdir;
    started = Shell::start(shell, events);
  }
  if (!started) return started.error();
  shell_ = *std::move(started);
  sessions_.insert(shell_->pid());
  bare_ = true;
  return std::nullopt;
}

void Bash::Session::on_output(std::string_view bytes) {
  if (discard_output_) return;
  if (output_ == nullptr && late_ == nullptr) late_ = std::make_unique<CallOutput>(options_.spill, "bash");
  (output_ ? output_ : late_)->feed(bytes);
}

void Bash::Session::finish(Ending ending) {
  ending_ = ending;
  if (output_ == nullptr && !discard_output_ && ending.kind == Ending::Kind::died) ended_idle_ = true;
  if (ending.kind != Ending::Kind::ended) forget_shell();
  wake_.cancel();
}

/// The next call gets a fresh one, with what the last completed call left.
void Bash::Session::forget_shell() {
  if (!shell_) return;
  directory_ = shell_->directory();
  if (!shell_->exports().empty()) exports_ = shell_->exports();
  shell_->stop();
  shell_.reset();
}

void Bash::Session::abandon() {
  if (shell_) shell_->stop();
  shell_.reset();
  for (const pid_t pid : descendants_of_session(tag_, sessions_)) ::kill(pid, SIGKILL);
}

asio::awaitable<ToolResult> Bash::Session::run(nlohmann::json json) {
  Input in("bash", std::move(json));
  auto command = in.optional_string("command");
  const bool restart = in.optional_bool("restart").value_or(false);
  const auto timeout = in.optional_integer("timeout_ms");
  if (timeout && *timeout <= 0) in.complain("timeout_ms must be above 0");
  if (!in.failed() && !command && !restart) in.complain("command is missing (a string is needed)");
  if (command && command->empty() && !restart) in.complain("command is empty");
  if (command && command->find('\0') != std::string::npos)
    in.complain("the command holds a NUL byte, which bash can't take; nothing was run");
  if (in.failed()) co_return in.error();

  std::string note;
  milliseconds limit = options_.limits.default_tool_timeout;
  if (timeout) {
    limit = milliseconds(std::min<std::int64_t>(*timeout, options_.limits.max_tool_timeout.count()));
    if (limit.count() != *timeout)
      note = fmt::format("[timeout_ms was cut to the most that is allowed, {}]", time_words(limit));
  }
  limit = std::min(limit, options_.limits.max_tool_timeout);

  // A cancelled call has work left to do, and a result to give: cancellation is asked for, never thrown.
  const bool throwing = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  ToolResult result;
  if (restart) {
    co_await close();
    directory_ = options_.workdir;
    exports_.clear();
    late_.reset();
    if (auto problem = start_shell())
      result = ToolResult::error("bash: " + *problem);
    else
      result = ToolResult::text(
          "The shell was restarted: its processes are gone, directory and variables are as at the start.");
  }
  if (command && !result.is_error) result = co_await run_command(*std::move(command), limit, std::move(note));
  co_await asio::this_coro::throw_if_cancelled(throwing);
  co_return result;
}

asio::awaitable<ToolResult> Bash::Session::run_command(std::string command, milliseconds limit,
                                                       std::string note) {
  if (auto problem = start_shell()) co_return ToolResult::error("bash: " + *problem);
  if (std::exchange(bare_, false)) co_await restore_variables();
  if (!shell_) co_return ToolResult::error("bash: the shell ended while it was started; nothing was run");
  jobs_ = children_of(shell_->pid());
  std::string text;
  if (late_) {
    text = std::exchange(late_, nullptr)->finish();
    if (!text.empty()) {
      text = "[printed by background jobs since the last call:]\n" + text;
      add_line(text, "[end of that]\n");
    }
  }
  if (std::exchange(ended_idle_, false))
    add_line(text,
             "[the shell ended after the last call; this is a fresh one, with directory and exported "
             "variables]\n");
  output_ = std::make_unique<CallOutput>(options_.spill, "bash");
  ending_.reset();
  if (!shell_->run(command)) {
    output_.reset();
    forget_shell();
    co_return ToolResult::error(
        "bash: the command can't be handed to the shell (out of memory?); nothing was run");
  }
  OomWatch memory;
  const Stop stop = co_await wait_for_end(Clock::now() + limit);
  const Ending ending = *ending_;
  ending_.reset();

  const bool printed_before = !text.empty();
  std::string printed = std::exchange(output_, nullptr)->finish();
  text += printed;
  const bool killed = (ending.kind == Ending::Kind::ended && ending.status == 128 + SIGKILL) ||
                      (ending.kind == Ending::Kind::died && WIFSIGNALED(ending.status));
  const std::string description = describe(ending, stop, limit, killed && memory.killed_since());
  const bool is_error = stop != Stop::none || ending.kind == Ending::Kind::stuck || ending.status != 0;
  if (!note.empty()) add_line(text, note);
  if (ending.kind == Ending::Kind::ended)
    if (const std::string jobs = co_await new_jobs(); !jobs.empty()) add_line(text, jobs);
  if (printed.empty() && !printed_before && description.empty() && text.empty()) text = "(no output)";
  if (!description.empty()) add_line(text, description);
  reap_orphans();
  co_return is_error ? ToolResult::error(std::move(text)) : ToolResult::text(std::move(text));
}

std::string Bash::Session::describe(const Ending& ending, Stop stop, milliseconds limit, bool out_of_memory) {
  std::string text;
  if (stop == Stop::timeout)
    text = fmt::format(
        "[timed out after {}: what ran in the foreground was stopped, the output above is what came so far]",
        time_words(limit));
  if (stop == Stop::interrupt) text = "[interrupted; may have taken effect]";
  const std::string lost = fmt::format(
      "the next call gets a fresh shell in {} with the exported variables of the last completed call; other "
      "variables, "
      "functions and options are lost",
      directory_);
  const auto signal_words = [](int signal) {
    const char* name = ::sigabbrev_np(signal);
    return name != nullptr ? fmt::format("SIG{}", name) : fmt::format("signal {}", signal);
  };
  const std::string_view why = out_of_memory ? "; killed: out of memory" : "";
  switch (ending.kind) {
    case Ending::Kind::ended:
      if (ending.status > 128 && ending.status < 128 + NSIG)
        add_line(text, fmt::format("[exit status {}: {}{}]", ending.status, signal_words(ending.status - 128),
                                   why));
      else if (ending.status != 0)
        add_line(text, fmt::format("[exit status {}]", ending.status));
      break;
    case Ending::Kind::died:
      if (WIFSIGNALED(ending.status))
        add_line(text, fmt::format("[the shell was ended by {}{}; {}]", signal_words(WTERMSIG(ending.status)),
                                   why, lost));
      else
        add_line(text,
                 fmt::format("[the shell ended with exit status {}; {}]", WEXITSTATUS(ending.status), lost));
      break;
    case Ending::Kind::stuck:
      add_line(text, stop == Stop::none
                         ? fmt::format(
                               "[the shell no longer takes commands (set -n, or its private descriptors were "
                               "closed) and was ended; {}]",
                               lost)
                         : fmt::format("[the shell itself was busy, so it was ended as well; {}]", lost));
      break;
  }
  return text;
}

/// Returns once ending_ is set, which stopping makes sure of.
asio::awaitable<Bash::Session::Stop> Bash::Session::wait_for_end(Clock::time_point deadline) {
  Stop stop = Stop::none;
  while (!ending_) {
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) {
      stop = Stop::interrupt;
      co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
      break;
    }
    if (Clock::now() >= deadline) {
      stop = Stop::timeout;
      break;
    }
    wake_.expires_at(deadline);
    co_await wake_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  const milliseconds step = stop == Stop::timeout ? milliseconds(kTimeoutStep) : kInterruptStep;
  for (const int signal : {SIGINT, SIGTERM, SIGKILL}) {
    // The shell may go on to its next command, so what appears later gets this signal as well, once.
    std::set<pid_t> signalled;
    const auto until = Clock::now() + step;
    while (!ending_ && Clock::now() < until) {
      const auto state = co_await asio::this_coro::cancellation_state;
      if (stop == Stop::timeout && state.cancelled() != asio::cancellation_type::none) break;
      signal_foreground(signal, signalled);
      wake_.expires_after(kStopPoll);
      co_await wake_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
  }
  if (!ending_) finish({Ending::Kind::stuck, 0});
  co_return stop;
}

/// Children of the shell and theirs, but no background jobs: neither those of earlier calls nor those that
/// bash has made deaf to the keyboard. A foreground program may have made itself deaf just so; when there is
/// nothing else to stop, the newest child is taken for it at last.
void Bash::Session::signal_foreground(int signal, std::set<pid_t>& signalled) {
  if (!shell_) return;
  std::vector<pid_t> foreground;
  pid_t newest_deaf = -1;
  for (const pid_t child : children_of(shell_->pid())) {
    if (std::find(jobs_.begin(), jobs_.end(), child) != jobs_.end()) continue;
    if (ignores_keyboard_signals(child))
      newest_deaf = child;  // the kernel lists the oldest first
    else
      foreground.push_back(child);
  }
  if (signal == SIGKILL && foreground.empty() && newest_deaf > 0) foreground.push_back(newest_deaf);
  for (const pid_t child : foreground)
    for (const pid_t pid : with_descendants(child))
      if (signalled.insert(pid).second) ::kill(pid, signal);
}

/// Gives a fresh shell the exported variables of the one before.
asio::awaitable<void> Bash::Session::restore_variables() {
  std::string commands;
  const auto profile = std::find_if(options_.environment.begin(), options_.environment.end(),
                                    [](const std::string& entry) { return entry.starts_with("BASH_ENV="); });
  if (profile != options_.environment.end())
    commands = "export BASH_ENV=" + quote(std::string_view(*profile).substr(9)) + "\n";
  if (!exports_.empty()) commands += "unset $(compgen -e) 2>/dev/null\n" + exports_;
  if (commands.empty()) co_return;
  discard_output_ = true;
  ending_.reset();
  if (shell_->run(commands)) {
    wake_.expires_after(kRestoreLimit);
    while (!ending_ && Clock::now() < wake_.expiry()) {
      const auto state = co_await asio::this_coro::cancellation_state;
      if (state.cancelled() != asio::cancellation_type::none) break;
      co_await wake_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
  }
  if (!ending_) forget_shell();
  discard_output_ = false;
  ending_.reset();
}

/// One line for what this call left running.
asio::awaitable<std::string> Bash::Session::new_jobs() {
  // A child that has not become its program yet still looks like the shell; it gets a moment.
  const auto give_up = Clock::now() + milliseconds(25);
  for (;;) {
    if (!shell_) co_return std::string();
    const std::string own = command_line_of(shell_->pid());
    std::string line;
    bool early = false;
    for (const pid_t pid : children_of(shell_->pid())) {
      if (std::find(jobs_.begin(), jobs_.end(), pid) != jobs_.end()) continue;
      std::string command = command_line_of(pid);
      const auto info = process_info(pid);
      if (!info || info->ended()) continue;
      if (command.empty()) command = own;  // in the middle of becoming its program
      early = early || command == own;
      if (!line.empty()) line += ", ";
      line += fmt::format("{} {}", pid, command == own ? "(subshell)" : shorten(command, 80));
    }
    if (line.empty()) co_return std::string();
    if (!early || Clock::now() >= give_up)
      co_return fmt::format("[still running in the background: {}]", line);
    co_await pause(milliseconds(1));
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none)
      co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  }
}

asio::awaitable<void> Bash::Session::close() {
  const bool throwing = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none)
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  const auto begun = Clock::now();
  std::set<pid_t> told;
  for (;;) {
    auto left = descendants_of_session(tag_, sessions_);
    if (left.empty() || Clock::now() - begun >= kTeardownLimit) break;
    const bool patient = Clock::now() - begun < kTeardownGrace;
    for (const pid_t pid : left) {
      if (!patient) {
        ::kill(pid, SIGKILL);
      } else if (told.insert(pid).second) {
        // bash ignores TERM only when interactive; ours ends, and would take the wait for its children with
        // it.
        ::kill(pid, SIGTERM);
        ::kill(pid, SIGCONT);
      }
    }
    reap_orphans();
    co_await pause(patient ? milliseconds(10) : milliseconds(5));
  }
  if (shell_) shell_->stop();
  shell_.reset();
  ended_idle_ = false;  // it was asked to
  reap_orphans();
  co_await asio::this_coro::throw_if_cancelled(throwing);
}

Bash::Bash(BashOptions options) : session_(std::make_shared<Session>(std::move(options))) {}

Bash::~Bash() {
  session_->abandon();
}

asio::awaitable<ToolResult> Bash::run(nlohmann::json input) {
  return session_->run(std::move(input));
}

void Bash::warm_up() {
  static_cast<void>(session_->start_shell());
}

asio::awaitable<void> Bash::close() {
  return session_->close();
}

std::expected<void, std::string> check_bash() {
  if (::access("/bin/bash", X_OK) == 0) return {};
  return std::unexpected("/bin/bash is missing or can't be run; the bash tool needs it in the image");
}

}  // namespace sandbox_worker::tools
