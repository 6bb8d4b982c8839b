#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "tests/session_server/fault.hpp"
#include "tests/session_server/load.hpp"
#include "tests/session_server/session_state.hpp"

namespace session_server {

/// A script that can't be played; the message says where in it.
struct ScriptError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// What a result must be. `${workdir}` in texts stands for the worker's folder.
struct Expectation {
  bool answered = true;
  bool optional = false;  // it may be answered or not; when it is, then as follows
  std::optional<bool> is_error{};
  std::optional<std::string> text{};
  std::vector<std::string> contains{};
  std::vector<std::string> lacks{};
  std::vector<std::string> matches{};  // RE2, anywhere in the text
  std::optional<std::string> type{};   // of the first content block
  std::optional<std::size_t> min_characters{};
  std::optional<std::size_t> max_characters{};
  std::optional<std::chrono::milliseconds> within{};  // from the call to its answer
};

struct PlannedCall {
  NewCall call{};
  Expectation expect{};
  std::optional<std::string> answered{};  // by another client, at once
};

/// What must be in the worker's folder.
struct FileCheck {
  std::string path{};
  bool exists = true;
  std::optional<std::string> text{};
  std::vector<std::string> contains{};
  std::optional<std::size_t> lines{};
  bool unique_lines = false;
};

namespace step {
struct Calls {
  std::vector<PlannedCall> calls{};
  bool wait = true;
};
struct Confirm {
  std::string call_id{};
  std::string result{};
};
struct Interrupt {
  std::optional<std::string> thread{};
};
struct EndThread {
  std::string thread{};
};
struct Idle {
  std::string reason{};
};
struct Terminate {
  bool deleted = false;
};
struct Append {
  Json event{};
  std::size_t repeat = 1;
  std::size_t fill_bytes = 0;  // each gets a field with so many bytes
};
struct SendRaw {
  std::string bytes{};
};
struct AnswerElsewhere {
  std::string call_id{};
  std::string text{};
};
struct AddFault {
  Fault fault{};
};
struct ClearFaults {};
struct CutStreams {
  Cut how = Cut::close;
};
struct Listen {
  bool on = true;
};
struct Lease {
  enum class Event { stop, not_extended, taken } event = Event::stop;
};
struct Signal {
  int number = 0;
};
/// Kills the worker, when it still runs, and starts another one for the same work item.
struct Restart {};
struct Sleep {
  std::chrono::milliseconds time{0};
};
/// Waits for what the worker does.
struct Await {
  enum class What { answers, call, streams, requests, file, exit, heartbeats } what = What::answers;
  std::string name{};  // of the call or the file
  RequestKind kind = RequestKind::other;
  std::size_t count = 1;
  bool more = false;  // counted from this step on
};
struct Say {
  std::string text{};
};
/// An empty file in the worker's folder: what a command that was told to wait may look for.
struct Touch {
  std::string path{};
};
}  // namespace step

using Step = std::variant<step::Calls, step::Confirm, step::Interrupt, step::EndThread, step::Idle,
                          step::Terminate, step::Append, step::SendRaw, step::AnswerElsewhere, step::AddFault,
                          step::ClearFaults, step::CutStreams, step::Listen, step::Lease, step::Signal,
                          step::Sleep, step::Await, step::Say, step::Touch, step::Restart, FileCheck, Load>;

struct End {
  enum class How { idle, terminate, remove, none } how = How::idle;
  std::string reason = "end_turn";
  std::optional<int> exit_code = 0;
  std::optional<bool> stopped = true;    // whether the worker stopped the item
  std::optional<std::size_t> streams{};  // how many the worker opened in all
  std::chrono::milliseconds within{15000};
  std::vector<FileCheck> files{};
  std::vector<std::string> log_contains{};  // on the worker's stderr
};

struct WorkerSettings {
  bool attach = true;  // the first step waits for the worker's first stream, or for its end
  std::string max_idle = "300ms";
  std::map<std::string, std::string> environment{};
  std::vector<std::string> arguments{};
};

struct Script {
  std::string name{};
  std::string about{};
  std::map<std::string, std::string> known_differences{};  // worker -> why it does not pass
  Settings settings;
  WorkerSettings worker;
  std::vector<Fault> faults{};  // from the start
  std::vector<Step> history{};  // what happened before the worker came
  std::vector<Step> steps{};
  End end;
  std::chrono::milliseconds wait_limit{20000};  // for one answer, or one await

  /// Throws ScriptError for anything that it doesn't know.
  static Script parse(const Json& json, std::string fallback_name);
  static Script load(const std::filesystem::path& path);
};

}  // namespace session_server
