#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/lease.hpp"
#include "worker/log.hpp"
#include "worker/record_file.hpp"

namespace sandbox_worker::worker {

/// What a worker has left of its lease. Times are of the boot clock, which goes on while the machine sleeps.
struct LeaseTrace {
  std::string work;
  std::string boot_id;
  std::string claimed;                           // the heartbeat of the claimer that it began with, or empty
  std::string expected;                          // for the next beat
  std::chrono::nanoseconds good_since{0};        // when the last good beat was sent, or the very first one
  std::optional<std::chrono::milliseconds> ttl;  // of the last good beat
  bool answer_lost = false;                      // a beat after that may have been handled
  bool any = false;                              // there is a beat
  struct Watch {
    std::string shown;
    std::chrono::nanoseconds until{0};
  };
  std::optional<Watch> watch;  // Lease::Watch, of the beats so far
};

// Pure.
std::string encode_lease_header(std::string_view work, std::string_view boot_id, std::string_view claimed);
std::string encode_beat_sent(std::string_view expected, std::chrono::nanoseconds at);
std::string encode_beat_good(std::string_view last_heartbeat, std::chrono::milliseconds ttl,
                             std::chrono::nanoseconds sent_at);
std::string encode_beat_void(std::chrono::nanoseconds at);
std::string encode_watch(std::string_view shown, std::chrono::nanoseconds until);
/// Of any bytes; nothing when they don't begin as a record of this version.
std::optional<LeaseTrace> decode_lease(std::string_view file);
/// The lease to go on with; nothing when there is none that could still be held, or when the claimer has
/// begun another one since (`claimed` isn't empty and is new).
std::optional<protocol::Lease> lease_after(const LeaseTrace& trace, std::string_view work,
                                           std::string_view boot_id, std::string_view claimed,
                                           std::chrono::nanoseconds boot_now, protocol::Lease::TimePoint now);

/// Keeps the lease of one work item for a worker that is started again: a small file, written at once.
/// It belongs to whoever holds the item's lock. Executor: one.
class LeaseRecord {
 public:
  /// `path`: in a private directory. `claimed`: of a lease that the claimer has begun.
  LeaseRecord(std::string path, std::string work, std::optional<std::string> claimed, const Log& log);

  /// The lease of a worker before us, if it may still be held.
  std::optional<protocol::Lease> take_up();

  void beat_sent(std::string_view expected);
  /// The beat that was sent last has surely not been handled.
  void beat_void();
  void beat_good(const protocol::Lease& lease);
  void watch_begun(const protocol::Lease::Watch& watch);
  /// The lease is over, or the item stopped: there is nothing to go on with.
  void remove();

 private:
  void add(std::uint8_t type, std::string_view payload);
  std::string first_records() const;

  const std::string path_;
  const std::string work_;
  const std::string claimed_;
  const Log& log_;
  std::optional<LeaseTrace> before_;  // of the worker before us, until we have a good beat
  std::optional<RecordFile> file_;
  std::chrono::nanoseconds sent_at_{0};
  bool complained_ = false;
};

}  // namespace sandbox_worker::worker
