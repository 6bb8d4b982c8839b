#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/session_server/fault.hpp"
#include "tests/session_server/http_front.hpp"
#include "tests/session_server/service.hpp"

namespace session_server {

/// The test service: one session with its work item, served on loopback by a thread of its own.
/// Every member may be called from any thread. The destructor closes all connections.
class SessionServer {
 public:
  struct Options {
    std::uint16_t port = 0;
    std::optional<TlsIdentity> tls{};
    bool ipv6 = false;  // on ::1 in place of 127.0.0.1
    /// Called for each request, counted from 1, when it has been handled and before it is answered.
    std::function<void(std::size_t number)> on_request{};
  };

  explicit SessionServer(Settings settings = {});
  SessionServer(Settings settings, Options options);
  ~SessionServer();

  std::uint16_t port() const;
  std::string base_url() const;
  /// The variables that an orchestrator gives to the worker.
  std::vector<std::pair<std::string, std::string>> worker_environment() const;
  std::vector<std::pair<std::string, std::string>> worker_environment(const std::string& work_id) const;

  // What the session does. Each goes into the history and to the open streams at once.
  void call(const NewCall& call);
  void confirm(const std::string& call_id, const std::string& result);
  void interrupt(const std::optional<std::string>& thread = std::nullopt);
  void end_thread(const std::string& thread);
  void idle(const std::string& stop_reason = "end_turn");
  void terminate(bool deleted = false);
  void answer_elsewhere(const std::string& call_id, const std::string& text);
  void append(Json event);
  /// Bytes on the open streams that are in no history.
  void send_raw(const std::string& bytes);

  // What the network and the queue do.
  void add_fault(Fault fault);
  void clear_faults();
  /// Cuts the streams that are open; says how many.
  std::size_t cut_streams(Cut how = Cut::close);
  void listen(bool on);
  void ask_to_stop();
  void refuse_extension();
  void give_lease_to_another();
  /// One more work item for the session; `worker_environment` has what its worker is given.
  void add_item(const std::string& work_id);
  /// To be told right after the worker was killed, before it is started again. Returns when all that it has
  /// sent was handled.
  void worker_killed();

  /// Waits until `done` holds, which is asked after every change; false when `limit` has passed first.
  bool wait(std::chrono::milliseconds limit, const std::function<bool(const Service&)>& done);
  /// Has waits ask again, for a condition that also depends on something outside.
  void nudge();

  template <class F>
  auto inspect(F&& look) const {
    std::unique_lock<std::mutex> lock = hold();
    return look(service());
  }

  /// Ends the accounts: what the worker did against the contract, each kind once.
  std::vector<std::string> finish();

 private:
  struct State;
  std::unique_lock<std::mutex> hold() const;
  const Service& service() const;
  void change(const std::function<void(Service&, Time)>& change);
  Plan on_request(Request request);

  std::unique_ptr<State> state_;
};

}  // namespace session_server
