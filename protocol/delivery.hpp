#pragma once

#include <chrono>
#include <optional>

namespace sandbox_worker::protocol {

/// What came back in place of a success when a result was posted.
struct PostFailure {
  unsigned status = 0;          // 0: no answer
  bool fatal = false;           // trying again can't help
  bool may_have_acted = false;  // no whole answer, but the request may have arrived
  std::optional<std::chrono::milliseconds> retry_after;
};

/// The way of one result to the service: when it is sent, what must be known first, and when it is given up
/// (wire.md#results). Pure: told the time, never waits.
class Delivery {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  enum class Next {
    again,    // send it when it is due
    replace,  // put a short error in its place, then send that at once
    give_up,
  };

  explicit Delivery(TimePoint now) : due_(now), settled_(now) {}
  /// Somebody may have sent it until `then`, and nobody knows what became of that.
  static Delivery maybe_sent(TimePoint then);

  /// Not sent before this time.
  TimePoint due() const { return due_; }
  /// Before it is sent, its call must be seen to be unanswered: it may have arrived, or was refused, which a
  /// second answer would be as well.
  bool must_check() const { return unsure_ || refused_with_ != 0; }
  /// It shares no request with others.
  bool alone() const { return alone_; }

  /// `shared`: it was sent with others. `random` in [0, 1).
  Next on_failure(const PostFailure& failure, bool shared, TimePoint now, double random);
  /// It could not be found out whether the call is answered.
  void on_unchecked(std::optional<std::chrono::milliseconds> retry_after, TimePoint now, double random);
  /// The call is unanswered. Never give_up.
  Next on_unanswered();
  /// The last moment is near: no more waiting than safety asks for.
  void hurry(TimePoint now);

  /// The status with which the result was refused; for the text that replaces it. 0: it wasn't.
  unsigned refused_with() const { return refused_with_; }

 private:
  void wait(std::optional<std::chrono::milliseconds> wish, TimePoint now, double random);

  TimePoint due_;
  TimePoint settled_;  // by then what was lost on the way has arrived, if it ever does
  int attempts_ = 0;
  bool unsure_ = false;  // an attempt may have arrived
  bool alone_ = false;
  bool replaced_ = false;
  unsigned refused_with_ = 0;
};

}  // namespace sandbox_worker::protocol
