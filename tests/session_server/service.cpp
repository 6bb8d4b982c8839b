#include "tests/session_server/service.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace session_server {
namespace {

/// Requests on two connections may overtake each other on the way by this much.
constexpr auto kOvertaking = std::chrono::milliseconds(250);
/// What was on its way when the worker was told of an end may still arrive.
constexpr auto kInFlight = std::chrono::seconds(1);

struct Route {
  RequestKind kind = RequestKind::other;
  bool ours = true;  // the ids in it are those of this item
};

Route route(const std::string& method, const std::vector<std::string>& path, const Settings* settings) {
  const auto is = [&](std::string_view verb, std::initializer_list<std::string_view> form) {
    return method == verb && path.size() == form.size() &&
           std::ranges::equal(path, form,
                              [](const auto& part, auto want) { return want == "*" || part == want; });
  };
  const auto part_is = [&](std::size_t index, const std::string Settings::* id) {
    return settings == nullptr || path[index] == settings->*id;
  };
  if (is("GET", {"v1", "sessions", "*"})) return {RequestKind::session, part_is(2, &Settings::session_id)};
  if (is("GET", {"v1", "sessions", "*", "events", "stream"})) {
    return {RequestKind::stream, part_is(2, &Settings::session_id)};
  }
  if (is("GET", {"v1", "sessions", "*", "events"}))
    return {RequestKind::history, part_is(2, &Settings::session_id)};
  if (is("POST", {"v1", "sessions", "*", "events"}))
    return {RequestKind::post, part_is(2, &Settings::session_id)};
  const bool item = path.size() == 6 && part_is(2, &Settings::environment_id);  // which one: Service::handle
  if (is("POST", {"v1", "environments", "*", "work", "*", "heartbeat"}))
    return {RequestKind::heartbeat, item};
  if (is("POST", {"v1", "environments", "*", "work", "*", "stop"})) return {RequestKind::stop, item};
  if (path.size() >= 2 && path[0] == "v1" && path[1] == "skills") return {RequestKind::skill, true};
  if (path.size() >= 2 && path[0] == "v1" && path[1] == "memory_stores") return {RequestKind::memory, true};
  return {};
}

std::optional<Target> target_of(const Request& request, const std::string& prefix) {
  std::string_view target = request.target;
  if (!target.starts_with(prefix)) return std::nullopt;
  auto parsed = Target::parse(target.substr(prefix.size()));
  if (!parsed) return std::nullopt;
  return *parsed;
}

bool lists(const std::string* header, std::string_view value) {
  std::string_view rest = header == nullptr ? std::string_view{} : std::string_view(*header);
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    std::string_view item = rest.substr(0, comma);
    item = item.substr(0, item.find(';'));
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (equal_ignoring_case(item, value)) return true;
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
  }
  return false;
}

std::vector<std::string> calls_in(const Request& post) {
  std::vector<std::string> ids;
  if (const auto results = parse_results(post.body)) {
    for (const auto& result : *results) ids.push_back(result.call_id);
  }
  return ids;
}

}  // namespace

RequestKind kind_of(const Request& request, const std::string& path_prefix) {
  const auto target = target_of(request, path_prefix);
  return target ? route(request.method, target->path, nullptr).kind : RequestKind::other;
}

Service::Service(Settings given) : settings(std::move(given)), session(settings), work(settings) {}

std::size_t Service::count(RequestKind kind) const {
  return static_cast<std::size_t>(std::ranges::count(requests_, kind, &RequestRecord::kind));
}

bool Service::all_stopped() const {
  return work.stopped_by_worker() &&
         std::ranges::all_of(more_items, [](const auto& entry) { return entry.second.stopped_by_worker(); });
}

bool Service::leased(Time now) const {
  return work.leased(now) ||
         std::ranges::any_of(more_items, [&](const auto& entry) { return entry.second.leased(now); });
}

void Service::add_item(const std::string& work_id) {
  Settings other = settings;
  other.work_id = work_id;
  more_items.emplace(work_id, WorkItem(other));
}

WorkItem* Service::item(const std::string& work_id) {
  if (work_id == settings.work_id) return &work;
  const auto found = more_items.find(work_id);
  return found == more_items.end() ? nullptr : &found->second;
}

void Service::worker_killed() {
  if (beaten_ != nullptr && !beat_was_known_) beaten_->heartbeat_answer_lost();
  beats_ = 0;
  work.stop_answer_lost();
  for (auto& [id, other] : more_items) other.stop_answer_lost();
  if (!more_items.empty()) return;  // another worker may live, and has begun long ago
  first_other_.reset();
  heartbeat_seen_ = false;
}

void Service::violate(std::string what) {
  if (std::ranges::find(violations_, what) == violations_.end()) violations_.push_back(std::move(what));
}

std::optional<Reply> Service::check_headers(const Request& request, RequestKind kind) {
  const auto refuse = [&](unsigned status, const std::string& why) {
    violate(fmt::format("{}: {}", name_of(kind), why));
    return error_reply(status, why);
  };
  const std::string& bearer = settings.work.auth == Auth::key ? settings.key : settings.token;
  const std::string* authorization = request.header("authorization");
  if (request.header("x-api-key") != nullptr) return refuse(401, "x-api-key is not for workers");
  if (authorization == nullptr) return refuse(401, "no authorization header");
  if (*authorization != "Bearer " + bearer)
    return refuse(401, "wrong credential in the authorization header");
  if (request.header("host") == nullptr) return refuse(400, "no host header");
  const std::string* version = request.header("anthropic-version");
  if (version == nullptr || (*version != "2023-06-01" && *version != "2026-10-21")) {
    return refuse(400, "anthropic-version is missing or unknown");
  }
  const std::string* beta = request.header("anthropic-beta");
  if (kind == RequestKind::memory) {
    if (!lists(beta, "agent-memory-2026-07-22"))
      return refuse(400, "anthropic-beta lacks agent-memory-2026-07-22");
  } else if (kind != RequestKind::skill && !lists(beta, "managed-agents-2026-04-01")) {
    return refuse(400, "anthropic-beta lacks managed-agents-2026-04-01");
  }
  if (!request.body.empty() && !lists(request.header("content-type"), "application/json")) {
    return refuse(400, "a body must have the content type application/json");
  }
  if (request.method == "GET" && !request.body.empty()) return refuse(400, "a GET has no body");
  if (request.header("user-agent") == nullptr)
    violate(fmt::format("{}: no user-agent header", name_of(kind)));
  // The TypeScript SDK asks for JSON and is given the stream all the same.
  const std::string* accept = request.header("accept");
  if (kind == RequestKind::stream && !lists(accept, "text/event-stream") &&
      !lists(accept, "application/json")) {
    violate("stream: accept must be text/event-stream");
  }
  return std::nullopt;
}

/// What the order of requests says, whatever is in them.
void Service::check_order(RequestKind kind, Time now) {
  if (kind == RequestKind::heartbeat) {
    if (!heartbeat_seen_ && first_other_ && now - *first_other_ > kOvertaking) {
      violate("heartbeat: the first one must be sent before any other request");
    }
    heartbeat_seen_ = true;
    return;
  }
  if (!first_other_) first_other_ = now;
  if (kind == RequestKind::stop) return;
  if (all_stopped()) violate(fmt::format("{}: sent after the item was stopped", name_of(kind)));
  if (work.lost_since() && now - *work.lost_since() > kInFlight) {
    violate(fmt::format("{}: sent after the lease was lost", name_of(kind)));
  }
  if (kind == RequestKind::history && handled(RequestKind::stream) == 0) {
    violate("history: read before the stream was opened");
  }
}

Reply Service::handle(const Request& request, Time now) {
  const auto target = target_of(request, settings.path_prefix);
  const Route to = target ? route(request.method, target->path, &settings) : Route{};
  delivery_ = {.kind = to.kind, .answered = {}};
  if (to.kind == RequestKind::other) {
    violate(fmt::format("no such endpoint: {} {}", request.method, request.target));
    return error_reply(404, "not found");
  }
  if (auto refusal = check_headers(request, to.kind)) return *refusal;
  if (request.body.size() > settings.max_body_bytes) {
    violate(fmt::format("{}: a body of {} bytes is too large", name_of(to.kind), request.body.size()));
    return error_reply(413, "the request is too large");
  }
  const bool of_item = to.kind == RequestKind::heartbeat || to.kind == RequestKind::stop;
  if (!to.ours || (of_item && item(target->path[4]) == nullptr)) {
    violate(fmt::format("{}: wrong id in {}", name_of(to.kind), request.target));
    return error_reply(404, "not found");
  }
  check_order(to.kind, now);
  Reply reply = dispatch(request, to.kind, *target, now);
  if (reply.status < 300) ++handled_[static_cast<std::size_t>(to.kind)];
  return reply;
}

Reply Service::dispatch(const Request& request, RequestKind kind, const Target& target, Time now) {
  switch (kind) {
    case RequestKind::session:
      return session.describe();
    case RequestKind::stream: {
      Reply reply{
          .status = 200,
          .headers = {{"content-type", "text/event-stream; charset=utf-8"}, {"cache-control", "no-cache"}},
          .body = {}};
      reply.opens_stream = true;
      return reply;
    }
    case RequestKind::history: {
      auto outcome = session.history(target);
      if (!outcome.violation.empty()) violate(outcome.violation);
      return outcome.reply;
    }
    case RequestKind::post:
      return post(request, now);
    case RequestKind::heartbeat:
      return heartbeat(request, target, now);
    case RequestKind::stop:
      return stop(request, target, now);
    case RequestKind::skill:
      return error_reply(404, "no such skill");
    case RequestKind::memory:
      if (settings.session.resources.empty()) violate("memory: the session has no memory store");
      return error_reply(404, "no such memory store");
    case RequestKind::other:
      break;
  }
  return error_reply(404, "not found");
}

Reply Service::heartbeat(const Request& request, const Target& target, Time now) {
  const auto refuse = [&](const std::string& why) {
    violate("heartbeat: " + why);
    return error_reply(400, why);
  };
  if (!request.body.empty()) return refuse("it has no body");
  std::size_t expected_count = 0;
  for (auto& [key, value] : target.query) {
    if (key == "expected_last_heartbeat") {
      ++expected_count;
    } else if (key == "desired_ttl_seconds") {
      if (value.empty() || value.find_first_not_of("0123456789") != std::string::npos) {
        return refuse("desired_ttl_seconds must be a number");
      }
    } else if (key != "beta") {
      return refuse("unknown parameter " + key);
    }
  }
  if (expected_count != 1) return refuse("expected_last_heartbeat must be given once");
  beaten_ = item(target.path[4]);
  beat_was_known_ = false;
  ++beats_;
  auto outcome = beaten_->heartbeat(*target.parameter("expected_last_heartbeat"), now);
  if (!outcome.violation.empty()) violate(outcome.violation);
  return outcome.reply;
}

Reply Service::stop(const Request& request, const Target& target, Time now) {
  const Json body = Json::parse(request.body, nullptr, false);
  // Not "!=": a body that is no JSON compares false with everything.
  if (!(body == Json({{"force", true}}))) {
    violate("stop: the body must be {\"force\":true}");
    return error_reply(400, "the body must be {\"force\":true}");
  }
  auto outcome = item(target.path[4])->stop(now);
  if (!outcome.violation.empty()) violate(outcome.violation);
  return outcome.reply;
}

void Service::handle_late(const Request& request, Time now) {
  auto violations = violations_;
  handle(request, now);
  violations_ = std::move(violations);
}

void Service::begin_hanging(const Request& post) {
  for (auto& id : calls_in(post)) hanging_.insert(std::move(id));
}

void Service::end_hanging(const Request& post) {
  for (const auto& id : calls_in(post)) {
    if (const auto found = hanging_.find(id); found != hanging_.end()) hanging_.erase(found);
  }
}

Reply Service::post(const Request& request, Time now) {
  for (const auto& id : calls_in(request)) {
    if (hanging_.contains(id)) violate("post: " + id + " is sent again while an attempt is still open");
  }
  // Nothing runs before the first beat's answer; beside a later one, everything does.
  if (beats_ == 1) beat_was_known_ = true;
  if (!leased(now)) {
    const bool excused = work.told_to_end() || (work.lost_since() && now - *work.lost_since() < kInFlight);
    if (!excused) violate("post: a result without a lease");
    if (!work.told_to_end()) return error_reply(403, "the lease is not yours");
  }
  auto outcome = session.post(request.body, now);
  if (!outcome.violation.empty()) violate(outcome.violation);
  delivery_.answered = outcome.answered;
  return outcome.reply;
}

void Service::answer_lost(const Delivery& delivery) {
  if (delivery.kind == RequestKind::heartbeat) beaten_->heartbeat_answer_lost();
  if (delivery.kind == RequestKind::stop) work.stop_answer_lost();
  if (delivery.kind == RequestKind::post) session.post_answer_lost(delivery.answered);
}

void Service::finish(Time) {
  if (first_other_ && !heartbeat_seen_) violate("heartbeat: none was ever sent");
}

}  // namespace session_server
