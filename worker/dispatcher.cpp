#include "worker/dispatcher.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <exception>
#include <nlohmann/json.hpp>
#include <utility>

namespace sandbox_worker::worker {

namespace asio = boost::asio;
using protocol::Ledger;
using std::chrono::steady_clock;

namespace {

constexpr std::string_view kBash = "bash";
/// Idle lanes' shells beyond these are closed. Each takes some 3 MB, a process and 10 descriptors, of which a
/// process usually may have 1024.
constexpr std::size_t kMostShells = 64;
constexpr const char* kShellClosed =
    "[the shell of this thread was closed while it was idle, as too many were open; this is a fresh one: its "
    "processes are gone, directory and variables are as at the start]\n";

constexpr const char* kNotBegun = "interrupted before it began; it was not run";

protocol::CallResult to_wire(const protocol::ToolUse& call, tools::ToolResult result) {
  protocol::CallResult wire;
  wire.call_id = call.id;
  wire.custom = call.custom;
  wire.is_error = result.is_error;
  for (auto& content : result.content) {
    if (auto* text = std::get_if<tools::TextContent>(&content)) {
      wire.content.emplace_back(protocol::TextBlock{std::move(text->text)});
    } else if (auto* image = std::get_if<tools::ImageContent>(&content)) {
      wire.content.emplace_back(
          protocol::DataBlock{"image", std::move(image->media_type), std::move(image->base64)});
    } else if (auto* document = std::get_if<tools::DocumentContent>(&content)) {
      wire.content.emplace_back(
          protocol::DataBlock{"document", std::move(document->media_type), std::move(document->base64)});
    }
  }
  return wire;
}

void put_in_front(std::string_view line, tools::ToolResult& result) {
  if (!result.content.empty()) {
    if (auto* text = std::get_if<tools::TextContent>(&result.content.front())) text->text.insert(0, line);
  }
}

std::size_t size_of(const tools::ToolResult& result) {
  std::size_t bytes = 0;
  for (const auto& content : result.content) {
    const auto* text = std::get_if<tools::TextContent>(&content);
    const auto* image = std::get_if<tools::ImageContent>(&content);
    const auto* document = std::get_if<tools::DocumentContent>(&content);
    bytes += text ? text->text.size() : image ? image->base64.size() : document->base64.size();
  }
  return bytes;
}

}  // namespace

Dispatcher::Dispatcher(asio::any_io_executor executor, MakeTools make_tools, Events events, ShellScope scope,
                       const Log& log)
    : executor_(std::move(executor)),
      make_tools_(std::move(make_tools)),
      events_(std::move(events)),
      scope_(scope),
      log_(log),
      gate_(executor_) {}

void Dispatcher::run(Ledger::Run run) {
  if (stopping_) return;
  Lane& lane = lanes_.try_emplace(run.call.thread, executor_).first->second;
  lane.queue.push_back(std::move(run));
  if (std::exchange(lane.draining, true)) return;
  lane.task = std::make_unique<Task>(executor_, drain(lane));
}

void Dispatcher::cancel(const std::string& id, Ledger::CancelReason reason) {
  for (auto& [thread, lane] : lanes_) {
    if (lane.running == id) {
      if (reason == Ledger::CancelReason::thread_ended) return;
      lane.silent = lane.silent || reason == Ledger::CancelReason::answered_elsewhere;
      log_.info("call cancelled", {{"id", id}});
      lane.cancel.emit(asio::cancellation_type::terminal);
      return;
    }
    for (auto queued = lane.queue.begin(); queued != lane.queue.end(); ++queued) {
      if (queued->call.id != id) continue;
      if (reason == Ledger::CancelReason::interrupted) {
        queued->interrupted = true;  // answered in its turn, without being run
      } else {
        lane.queue.erase(queued);
        log_.info("call dropped", {{"id", id}});
        events_.on_dropped(id);
      }
      lane.wake.cancel();
      return;
    }
  }
}

void Dispatcher::end_thread(const std::string& thread) {
  const auto found = lanes_.find(thread);
  if (found == lanes_.end() || stopping_) return;
  found->second.ended = true;
  if (!found->second.draining) remove(found->second);
}

/// Of an ended thread. The lane is gone when it returns.
void Dispatcher::remove(Lane& lane) {
  close_tools(lane);
  lanes_.erase(std::ranges::find_if(lanes_, [&](const auto& entry) { return &entry.second == &lane; }));
}

void Dispatcher::close_tools(Lane& lane) {
  closing_.remove_if([](const Closing& closing) { return closing.task.done(); });
  if (!lane.tools) return;
  auto closed = lane.tools->close();
  closing_.push_back({std::move(lane.tools), Task(executor_, std::move(closed))});
  lane.has_shell = false;
}

/// Room for the lane's shell, at the cost of the idle lane that has used its own least recently. Where all
/// are in use there are more of them for a while.
void Dispatcher::take_shell(Lane& lane) {
  lane.last_use = ++shell_uses_;
  if (std::exchange(lane.has_shell, true)) return;
  std::size_t shells = 0;
  Lane* oldest = nullptr;
  for (auto& [thread, other] : lanes_) {
    if (!other.has_shell) continue;
    ++shells;
    if (!other.draining && (!oldest || other.last_use < oldest->last_use)) oldest = &other;
  }
  if (shells <= kMostShells || !oldest) return;
  close_tools(*oldest);
  oldest->shell_closed = true;
}

asio::awaitable<void> Dispatcher::drain(Lane& lane) {
  co_await gate_.wait();
  while (!lane.queue.empty() && !stopping_) {
    const bool shared = needs_shared_shell(lane);
    if (shared && !co_await take_shared_shell(lane)) continue;
    auto next = std::move(lane.queue.front());
    lane.queue.pop_front();
    co_await run_call(lane, std::move(next));
    if (shared) leave_shared_shell(lane);
  }
  lane.draining = false;
  if (lane.ended && !stopping_) remove(lane);  // the last that is done with it
}

/// Whether the lane's next call has to wait for its turn at the shell of all.
bool Dispatcher::needs_shared_shell(const Lane& lane) const {
  if (scope_ != ShellScope::session || stopping_ || lane.queue.empty()) return false;
  const auto& next = lane.queue.front();
  return next.call.name == kBash && !next.interrupted && !next.begun_before;
}

/// False: the call that waited is gone, or needs the shell no longer. Until its turn it stays in its queue,
/// where it can be cancelled.
asio::awaitable<bool> Dispatcher::take_shared_shell(Lane& lane) {
  shell_line_.push_back(&lane);
  while (shell_line_.front() != &lane && needs_shared_shell(lane)) {
    boost::system::error_code ignored;
    co_await lane.wake.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  if (needs_shared_shell(lane)) co_return true;
  leave_shared_shell(lane);
  co_return false;
}

void Dispatcher::leave_shared_shell(Lane& lane) {
  std::erase(shell_line_, &lane);
  if (!shell_line_.empty()) shell_line_.front()->wake.cancel();
}

asio::awaitable<void> Dispatcher::run_call(Lane& lane, Ledger::Run run) {
  const auto began = steady_clock::now();
  if (run.begun_before) {
    co_await answer_again(run.call);
    co_return;
  }
  if (run.interrupted) {
    co_await give(run.call, tools::ToolResult::error(kNotBegun), began);
    co_return;
  }
  if (const auto allowed = events_.on_begin(run.call.id); !allowed) {
    co_await give(run.call, tools::ToolResult::error("not run: " + allowed.error()), began);
    co_return;
  }
  lane.running = run.call.id;
  lane.silent = false;
  log_.debug("call begins", {{"tool", run.call.name}, {"id", run.call.id}});
  tools::ToolResult result;
  try {
    // In a coroutine of its own, so that cancelling the call does not cancel the lane.
    result = co_await asio::co_spawn(executor_, run_tool(lane, run.call),
                                     asio::bind_cancellation_slot(lane.cancel.slot(), asio::use_awaitable));
  } catch (const std::exception& bug) {
    // Tools don't throw; one that does all the same must not leave the session waiting.
    log_.error("a tool threw", {{"tool", run.call.name}, {"id", run.call.id}, {"what", bug.what()}});
    result =
        tools::ToolResult::error(run.call.name + ": internal error of the worker; it may have taken effect");
  }
  lane.running.clear();
  if (lane.silent) {
    events_.on_dropped(run.call.id);
  } else {
    co_await give(run.call, std::move(result), began);
  }
}

asio::awaitable<tools::ToolResult> Dispatcher::run_tool(Lane& lane, protocol::ToolUse& call) {
  if (!call.input && call.kept) {
    auto input = co_await events_.bring_back(call.kept);
    if (!input) co_return tools::ToolResult::error("not run: " + input.error());
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return tools::ToolResult::error(kNotBegun);
    call.input = std::move(*input);
  }
  if (!call.input) co_return tools::ToolResult::error(call.name + ": the input " + call.fault);
  const bool bash = call.name == kBash;
  const bool shared = bash && scope_ == ShellScope::session;
  if (bash && !shared) take_shell(lane);
  auto& tools = shared ? shared_tools_ : lane.tools;
  if (!tools) tools = make_tools_();
  auto result = co_await tools->run(call.name, std::move(*call.input));
  if (bash && std::exchange(lane.shell_closed, false)) put_in_front(kShellClosed, result);
  co_return result;
}

asio::awaitable<void> Dispatcher::give(const protocol::ToolUse& call, tools::ToolResult result,
                                       steady_clock::time_point began) {
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - began);
  log_.info("call", {{"tool", call.name},
                     {"id", call.id},
                     {"outcome", result.is_error ? "error" : "ok"},
                     {"bytes", size_of(result)},
                     {"ms", took.count()}});
  co_await events_.on_result(to_wire(call, std::move(result)));
}

asio::awaitable<void> Dispatcher::answer_again(const protocol::ToolUse& call) {
  log_.info("call has begun before, not run again", {{"tool", call.name}, {"id", call.id}});
  co_await events_.on_begun_before(call.id, call.custom);
}

asio::awaitable<void> Dispatcher::stop(bool answer) {
  stopping_ = true;
  gate_.open();  // a lane that waits has nothing to run any more
  for (auto& [thread, lane] : lanes_) {
    lane.wake.cancel();
    if (lane.running.empty()) continue;
    lane.silent = lane.silent || !answer;
    lane.cancel.emit(asio::cancellation_type::terminal);
  }
  for (auto& [thread, lane] : lanes_) {
    if (lane.task) co_await lane.task->join();
  }
}

asio::awaitable<void> Dispatcher::close() {
  std::vector<Task> closing;
  if (shared_tools_) closing.emplace_back(executor_, shared_tools_->close());
  for (auto& [thread, lane] : lanes_) {
    if (lane.tools) closing.emplace_back(executor_, lane.tools->close());
  }
  for (auto& task : closing) co_await task.join();
  for (auto& earlier : closing_) co_await earlier.task.join();
}

void Dispatcher::kill() {
  if (shared_tools_) shared_tools_->kill();
  for (auto& [thread, lane] : lanes_) {
    if (lane.tools) lane.tools->kill();
  }
  for (auto& closing : closing_) closing.tools->kill();
}

}  // namespace sandbox_worker::worker
