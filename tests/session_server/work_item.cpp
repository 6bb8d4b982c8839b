#include "tests/session_server/work_item.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace session_server {

std::string timestamp(Time time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(time - seconds).count();
  const std::tm utc = fmt::gmtime(std::chrono::system_clock::to_time_t(seconds));
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", utc, micros);
}

WorkItem::WorkItem(const Settings& settings)
    : settings_(settings.work),
      work_id_(settings.work_id),
      environment_id_(settings.environment_id),
      session_id_(settings.session_id),
      state_(settings.work.state),
      last_(settings.work.begun.empty() ? "NO_HEARTBEAT" : settings.work.begun) {}

bool WorkItem::leased(Time now) const {
  return expires_ && now <= *expires_ && !others_;
}

Json WorkItem::lease_state() const {
  return {{"last_heartbeat", last_ == "NO_HEARTBEAT" ? Json() : Json(last_)},
          {"state", state_},
          {"ttl_seconds", settings_.ttl_seconds}};
}

void WorkItem::renew(Time now) {
  heartbeats_.push_back(now);
  expires_ = now + std::chrono::seconds(settings_.ttl_seconds);
  const auto& values = settings_.last_heartbeats;
  if (!values.empty()) {
    last_ = values[std::min(given_out_++, values.size() - 1)];
  } else {
    // With an offset instead of Z: its plus sign must survive the way back in a query.
    last_ = timestamp(now);
    last_.replace(last_.size() - 1, 1, "+00:00");
  }
}

WorkItem::Outcome WorkItem::heartbeat(const std::string& expected, Time now) {
  Outcome outcome;
  let_another_renew(now);
  const bool over = state_ == "stopping" || state_ == "stopped";
  // The expected value is not compared once the item is stopping: whoever asks is told to end.
  if (!over && expected != last_) {
    const bool excused = others_ || beat_unsure_ || asked_with_ == expected;
    asked_with_ = beat_unsure_ ? std::optional(expected) : std::nullopt;  // once more with the same
    if (!excused) {
      outcome.violation =
          fmt::format("heartbeat: expected_last_heartbeat was \"{}\", should be \"{}\"", expected, last_);
    }
    beat_unsure_ = false;
    if (others_ && !lost_since_) lost_since_ = now;
    outcome.reply =
        error_reply(412, "the lease has another last heartbeat", {{"current_state", lease_state()}});
    return outcome;
  }
  beat_unsure_ = false;
  asked_with_.reset();
  const bool extended = !over && extend_;
  if (extended) {
    if (expires_ && now > *expires_ && good_answers_ > 0) {
      outcome.violation = "heartbeat: came after the lease had run out";
    }
    if (state_ == "starting" || state_ == "queued") state_ = "active";
    renew(now);
    ++good_answers_;
  } else if (!told_to_end_) {
    told_to_end_ = now;
  }
  Json body = lease_state();
  body["type"] = "work_heartbeat";
  body["last_heartbeat"] = last_ == "NO_HEARTBEAT" ? "" : last_;
  body["lease_extended"] = extended;
  outcome.reply = json_reply(200, body);
  return outcome;
}

WorkItem::Outcome WorkItem::stop(Time) {
  Outcome outcome;
  if (lost_since_) outcome.violation = "stop: the lease was lost, the item is another worker's";
  if (state_ == "stopped") {
    // The SDK takes a 409 for a call to try again, so that only a second stop after a 204 is one too many.
    if (stopped_by_worker_ && !stop_unsure_) outcome.violation = "stop: sent twice";
    stop_unsure_ = true;
    stopped_by_worker_ = true;
    outcome.reply = error_reply(409, "the work item has stopped already");
    return outcome;
  }
  state_ = "stopped";
  stopped_by_worker_ = true;
  outcome.reply = {.status = 204, .headers = {}, .body = {}};
  return outcome;
}

void WorkItem::give_to_another(Time now) {
  others_ = true;
  others_beat_at_ = now;
  renew(now);
  heartbeats_.pop_back();
  last_ += "-of-another";
}

/// Its beats are due each half ttl; only the newest one can be seen.
void WorkItem::let_another_renew(Time now) {
  const auto interval = std::chrono::milliseconds(500) * settings_.ttl_seconds;
  if (!others_ || now < others_beat_at_ + interval) return;
  give_to_another(others_beat_at_ + (now - others_beat_at_) / interval * interval);
}

Json WorkItem::to_json() const {
  return {{"id", work_id_},
          {"type", "work"},
          {"state", state_},
          {"environment_id", environment_id_},
          {"data", {{"type", "session"}, {"id", session_id_}}},
          {"secret", nullptr},
          {"metadata", Json::object()}};
}

}  // namespace session_server
