#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/session_server/settings.hpp"

namespace session_server {

/// The claimed work item and its lease. Pure: time is an argument, what the worker did wrong is returned.
class WorkItem {
 public:
  explicit WorkItem(const Settings& settings);

  struct Outcome {
    Reply reply;
    std::string violation;  // empty: none
  };

  Outcome heartbeat(const std::string& expected, Time now);
  Outcome stop(Time now);

  /// The answer to the last heartbeat or stop may not have reached the worker.
  void heartbeat_answer_lost() {
    beat_unsure_ = true;
    if (good_answers_ > 0) --good_answers_;
  }
  void stop_answer_lost() { stop_unsure_ = true; }

  void ask_to_stop() { state_ = "stopping"; }   // as when a person stops the session
  void refuse_extension() { extend_ = false; }  // lease_extended: false with the state unchanged
  /// Another worker's heartbeat came in between; from then on it renews its lease as it should.
  void give_to_another(Time now);

  bool leased(Time now) const;  // a heartbeat has succeeded and its ttl has not passed
  bool stopped() const { return state_ == "stopped"; }
  bool stopped_by_worker() const { return stopped_by_worker_; }
  std::optional<Time> lost_since() const {
    return lost_since_;
  }  // since the worker was told that it lost the lease
  std::optional<Time> told_to_end() const { return told_to_end_; }
  const std::vector<Time>& heartbeats() const { return heartbeats_; }  // those that succeeded
  Json to_json() const;

 private:
  Json lease_state() const;
  void renew(Time now);
  void let_another_renew(Time now);

  const WorkSettings settings_;
  const std::string work_id_;
  const std::string environment_id_;
  const std::string session_id_;
  std::string state_;
  std::string last_;
  std::size_t given_out_ = 0;
  bool extend_ = true;
  bool others_ = false;
  Time others_beat_at_;
  bool beat_unsure_ = false;
  std::size_t good_answers_ = 0;  // to heartbeats; without one the worker can't know when the lease ends
  std::optional<std::string> asked_with_;  // by a worker that was unsure: it may look again with the same
  bool stop_unsure_ = false;
  bool stopped_by_worker_ = false;
  std::optional<Time> expires_;
  std::optional<Time> lost_since_;
  std::optional<Time> told_to_end_;
  std::vector<Time> heartbeats_;
};

}  // namespace session_server
