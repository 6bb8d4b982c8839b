#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "tests/session_server/fault.hpp"
#include "tests/session_server/wire.hpp"

namespace session_server {

/// One open event stream. Frames may be pushed from any thread; they go out in the order of the pushes.
class StreamFeed {
 public:
  virtual ~StreamFeed() = default;
  virtual void push(std::string frame) = 0;
  /// Ends the stream after what was pushed before.
  virtual void end(Cut how) = 0;
  virtual bool open() const = 0;
};

/// How streams are put on the wire.
struct StreamWire {
  bool chunked = true;
  bool split_bytes = false;
  std::string ping{};  // sent after each silence of `silence`
  std::chrono::milliseconds silence{0};
};

/// How one request is answered.
struct Plan {
  Reply reply{};
  std::optional<Fault> fault{};
  std::function<void(std::shared_ptr<StreamFeed>)> on_stream;  // called before its header goes out
  std::function<void()> on_lost;                               // the answer could not be written
  std::function<void()> on_closed;  // the worker closed the connection of a request without an answer
};

struct TlsIdentity {
  std::string certificate_pem{};
  std::string key_pem{};
};

/// HTTP/1.1 on loopback, on its own thread. Knows requests, answers and ways to spoil them, and no rule of
/// the service. `on_request` is called on that thread.
class HttpFront {
 public:
  using OnRequest = std::function<Plan(Request)>;
  struct Options {
    std::uint16_t port = 0;  // 0: a free one
    bool ipv6 = false;       // on ::1 in place of 127.0.0.1
    StreamWire stream;
    std::optional<TlsIdentity> tls{};
  };

  HttpFront(Options options, OnRequest on_request);
  ~HttpFront();
  std::uint16_t port() const;
  /// Ends the thread; nothing is answered afterwards. Feeds must be let go of before the destructor.
  void stop();
  /// False: connections are refused until it is true again; those that are open stay.
  void listen(bool on);
  /// Returns when every request of a client that is gone has been given to `on_request`; false: not within
  /// `limit`. From any thread but the front's.
  bool settle(std::chrono::milliseconds limit);
  /// Runs `work` on the front's thread after `delay`.
  void after(std::chrono::milliseconds delay, std::function<void()> work);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace session_server
