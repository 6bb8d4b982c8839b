#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/session_server/wire.hpp"

namespace session_server {

enum class FaultAction {
  close,               // no answer, the connection is closed
  close_header,        // the connection is closed in the middle of the answer's header
  half_body,           // ... of its body
  reset,               // as close, by a TCP reset
  reset_body,          // as half_body, by a TCP reset
  delay,               // the whole answer, late
  drip,                // the answer byte by byte
  status,              // another answer: `status`, `headers`, `body`
  invalid_json,        // 200 with a broken body
  wrong_content_type,  // 200 with a page of HTML
  redirect,            // 307 to another host
  no_answer,           // silence until the worker closes
  down,                // no answer, idle connections are closed, and for `delay` nothing listens on the port
  no_tls,              // the same, but what is accepted in that time is told nonsense in place of a handshake
  cut,                 // stream only: cut it as `cut` says after `after_events` events
};

/// How a connection ends while a stream is on it.
enum class Cut { close, drop, reset, half_event };

/// A fault of the network or the service, and the requests that it meets.
struct Fault {
  std::optional<RequestKind> on{};  // none: every kind
  FaultAction action = FaultAction::close;
  unsigned status = 500;
  Headers headers{};
  std::optional<std::string> body{};
  std::chrono::milliseconds delay{0};
  std::chrono::milliseconds gap{1};  // between the bytes of a drip
  std::optional<bool> commit{};      // whether the request takes effect; unset: as the action implies
  std::optional<std::chrono::milliseconds> commit_after{};  // it takes effect this much later
  Cut cut = Cut::close;
  std::size_t after_events = 0;

  std::string contains{};           // only requests with this in target or body
  unsigned skip = 0;                // the first ones pass
  std::optional<unsigned> count{};  // unset: once, or without end when every or percent is given
  unsigned every = 1;               // every n-th
  double percent = 100;
  std::uint64_t seed = 1;

  /// True when the request is handled although its answer is tampered with.
  bool commits() const;
  /// True when the worker gets an answer of the fault's own.
  bool answers_itself() const;
  /// True when the answer that the worker gets is the whole and right one.
  bool delivers() const;
};

/// Decides for each request whether a fault meets it. Pure: chance comes from the rules' seeds.
class FaultRules {
 public:
  void add(Fault fault);
  void clear() { rules_.clear(); }
  std::optional<Fault> next(RequestKind kind, const Request& request);

 private:
  struct Rule {
    Fault fault{};
    std::mt19937_64 chance;
    unsigned seen = 0;
    unsigned played = 0;
  };
  std::vector<Rule> rules_;
};

/// The answer of a fault that brings its own; only for those actions.
Reply own_reply(const Fault& fault, std::string_view host_elsewhere);

}  // namespace session_server
