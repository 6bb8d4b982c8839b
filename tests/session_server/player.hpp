#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tests/session_server/console.hpp"
#include "tests/session_server/script.hpp"
#include "tests/session_server/session_server.hpp"

namespace session_server {

/// The worker as far as a player has to do with it.
struct WorkerHandle {
  std::filesystem::path workdir;
  std::function<bool()> gone = [] { return false; };
  std::function<void(int)> signal = [](int) {};
  std::function<void()> restart = [] {};
};

/// Plays the steps of one script on a server, in the thread that calls. What is not as expected goes into
/// failures(); nothing is thrown for it.
class Player {
 public:
  Player(SessionServer& server, const Script& script, WorkerHandle worker, Console& console);

  void play_history();  // before the worker starts; waits for nothing
  /// All steps, and the answers still expected then. False when there was no sense in going on.
  bool play_steps();
  void play_end();   // what makes the worker end; does not wait for it
  void check_end();  // after the worker has ended: calls that had to stay open, doubled answers, files

  std::vector<std::string> failures() const { return failures_; }

 private:
  struct GivenUp {};

  void play(const step::Calls& calls);
  void play(const step::Confirm& confirm);
  void play(const step::Interrupt& interrupt);
  void play(const step::EndThread& end);
  void play(const step::Idle& idle);
  void play(const step::Terminate& terminate);
  void play(const step::Append& append);
  void play(const step::SendRaw& raw);
  void play(const step::AnswerElsewhere& answer);
  void play(const step::AddFault& fault);
  void play(const step::ClearFaults& clear);
  void play(const step::CutStreams& cut);
  void play(const step::Listen& listen);
  void play(const step::Lease& lease);
  void play(const step::Signal& signal);
  void play(const step::Sleep& sleep);
  void play(const step::Restart& restart);
  void play(const step::Await& await);
  void play(const step::Say& say);
  void play(const step::Touch& touch);
  void play(const FileCheck& check);
  void play(const Load& load);

  void make(PlannedCall call);
  void check(const PlannedCall& planned, const Call& call);
  void settle(const std::string& call_id);
  void settle_all();
  void wait_for(const std::string& what, const std::function<bool(const Service&)>& done);
  void poll_for(const std::string& what, const std::function<bool()>& done);
  void check_load(const LoadPlan& plan);
  void fail(const std::string& what);

  SessionServer& server_;
  const Script& script_;
  const WorkerHandle worker_;
  Console& console_;
  std::vector<PlannedCall> expected_;  // answers that are still to come, in order of the calls
  std::vector<PlannedCall> optional_;
  std::vector<PlannedCall> stay_open_;  // calls that nobody here may answer
  std::vector<std::string> failures_;
  bool in_history_ = false;
};

}  // namespace session_server
