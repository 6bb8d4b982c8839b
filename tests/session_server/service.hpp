#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/session_server/session_state.hpp"
#include "tests/session_server/work_item.hpp"

namespace session_server {

/// One request as it was handled, in order of arrival.
struct RequestRecord {
  RequestKind kind = RequestKind::other;
  std::string method{};
  std::string target{};
  unsigned status = 0;  // of the answer as planned; 0: the fault gives none
  bool faulted = false;
  Time at{};
};

/// What a request is for, judged by method and target alone.
RequestKind kind_of(const Request& request, const std::string& path_prefix);

/// The service as one session's worker sees it: routes, authorisation, the rules of the contract. Pure.
/// What the worker does against the contract is refused as the service would, and written down in
/// violations().
class Service {
 public:
  explicit Service(Settings settings);

  /// What the worker learns from one answer.
  struct Delivery {
    RequestKind kind = RequestKind::other;
    std::vector<std::string> answered{};  // calls
  };

  /// Handles one request as if its answer were delivered.
  Reply handle(const Request& request, Time now);
  const Delivery& last_delivery() const { return delivery_; }

  /// Handles a request that was held up on its way. What it does against the contract is not the worker's
  /// doing any more.
  void handle_late(const Request& request, Time now);

  /// A post hangs: its connection is open, and what is in it may still arrive. Until end_hanging, sending one
  /// of its results again may give a call two answers.
  void begin_hanging(const Request& post);
  void end_hanging(const Request& post);

  /// The answer may not have reached the worker: what it then does twice is no violation.
  void answer_lost(const Delivery& delivery);

  /// The worker was killed. What was on its way to it is lost, and its next start begins anew, by what it
  /// knows from the one before.
  void worker_killed();

  /// One more work item for the same session.
  void add_item(const std::string& work_id);
  /// The item of that id; null: there is none.
  WorkItem* item(const std::string& work_id);

  /// Written down for every request, also those that a fault keeps from being handled.
  void record(RequestRecord record) {
    heartbeat_seen_ = heartbeat_seen_ || record.kind == RequestKind::heartbeat;  // one that met a fault, too
    requests_.push_back(std::move(record));
  }

  /// What only shows at the end: a session without any heartbeat.
  void finish(Time now);
  void violate(std::string what);

  const Settings settings;
  std::size_t streams_opened = 0;  // by the server that carries this service; here so that waits can see them
  std::size_t streams_open = 0;
  SessionState session;
  WorkItem work;
  std::map<std::string, WorkItem> more_items;  // by id
  const std::vector<std::string>& violations() const { return violations_; }
  const std::vector<RequestRecord>& requests() const { return requests_; }
  std::size_t count(RequestKind kind) const;  // as they came
  std::size_t handled(RequestKind kind) const { return handled_[static_cast<std::size_t>(kind)]; }

 private:
  std::optional<Reply> check_headers(const Request& request, RequestKind kind);
  void check_order(RequestKind kind, Time now);
  bool all_stopped() const;
  bool leased(Time now) const;
  Reply dispatch(const Request& request, RequestKind kind, const Target& target, Time now);
  Reply heartbeat(const Request& request, const Target& target, Time now);
  Reply stop(const Request& request, const Target& target, Time now);
  Reply post(const Request& request, Time now);

  std::vector<std::string> violations_;
  std::vector<RequestRecord> requests_;
  std::array<std::size_t, 9> handled_{};
  std::optional<Time> first_other_;  // the first request of the item that was no heartbeat
  bool heartbeat_seen_ = false;
  std::multiset<std::string> hanging_;  // calls whose result is in a post that hangs
  std::size_t beats_ = 0;               // of the worker that runs now
  bool beat_was_known_ = false;         // the worker has shown that it had the answer to the last heartbeat
  WorkItem* beaten_ = nullptr;          // the item of the last heartbeat
  Delivery delivery_;
};

}  // namespace session_server
