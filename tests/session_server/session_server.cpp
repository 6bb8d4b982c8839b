#include "tests/session_server/session_server.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <set>

#include "tests/session_server/sse_frame.hpp"

namespace session_server {

namespace {

constexpr std::chrono::seconds kSettleLimit{10};

Time now() {
  return std::chrono::system_clock::now();
}

struct OpenStream {
  std::shared_ptr<StreamFeed> feed;
  std::optional<std::size_t> cut_after;  // events from now
  Cut cut = Cut::close;
};

}  // namespace

struct SessionServer::State {
  State(Settings settings, bool with_tls, bool with_ipv6)
      : service(std::move(settings)), tls(with_tls), ipv6(with_ipv6) {}

  mutable std::mutex mutex;  // guards all but front
  std::condition_variable changed;
  Service service;
  const bool tls;
  const bool ipv6;
  std::function<void(std::size_t)> on_request;  // constant
  FaultRules faults;
  std::vector<OpenStream> streams;
  std::size_t published = 0;         // events that the streams have been given
  std::unique_ptr<HttpFront> front;  // made last, gone first: its thread uses the rest

  /// Gives the open streams what is new in the history. With the mutex held.
  void publish() {
    std::erase_if(streams, [](auto& stream) { return !stream.feed->open(); });
    service.streams_open = streams.size();
    const auto& events = service.session.events();
    if (streams.empty()) published = events.size();
    for (; published < events.size(); ++published) {
      const std::string frame = sse_frame(events[published], service.settings.stream);
      for (auto& stream : streams) {
        stream.feed->push(frame);
        if (stream.cut_after && --*stream.cut_after == 0) stream.feed->end(stream.cut);
      }
    }
    changed.notify_all();
  }
};

SessionServer::SessionServer(Settings settings) : SessionServer(std::move(settings), Options{}) {}

SessionServer::SessionServer(Settings settings, Options options)
    : state_(std::make_unique<State>(std::move(settings), options.tls.has_value(), options.ipv6)) {
  state_->on_request = std::move(options.on_request);
  const StreamSettings& stream = state_->service.settings.stream;
  HttpFront::Options front{.port = options.port,
                           .ipv6 = options.ipv6,
                           .stream = {.chunked = stream.chunked,
                                      .split_bytes = stream.split_bytes,
                                      .ping = sse_ping(stream),
                                      .silence = stream.ping},
                           .tls = std::move(options.tls)};
  // The first request may come before the constructor of the front has returned.
  const std::lock_guard lock(state_->mutex);
  state_->front = std::make_unique<HttpFront>(
      std::move(front), [this](Request request) { return on_request(std::move(request)); });
}

SessionServer::~SessionServer() {
  state_->front->stop();
  state_->streams.clear();
}

std::unique_lock<std::mutex> SessionServer::hold() const {
  return std::unique_lock(state_->mutex);
}
const Service& SessionServer::service() const {
  return state_->service;
}
std::uint16_t SessionServer::port() const {
  return state_->front->port();
}

std::string SessionServer::base_url() const {
  // A certificate is for a name, and "localhost" may lead to either family.
  const char* address = state_->ipv6 ? "[::1]" : "127.0.0.1";
  return fmt::format("{}://{}:{}{}", state_->tls ? "https" : "http",
                     state_->tls && !state_->ipv6 ? "localhost" : address, port(),
                     state_->service.settings.path_prefix);
}

std::vector<std::pair<std::string, std::string>> SessionServer::worker_environment() const {
  return worker_environment(state_->service.settings.work_id);
}

std::vector<std::pair<std::string, std::string>> SessionServer::worker_environment(
    const std::string& work_id) const {
  const Settings& settings = state_->service.settings;
  std::vector<std::pair<std::string, std::string>> variables = {
      {"ANTHROPIC_SESSION_ID", settings.session_id},
      {"ANTHROPIC_WORK_ID", work_id},
      {"ANTHROPIC_ENVIRONMENT_ID", settings.environment_id},
      {"ANTHROPIC_BASE_URL", base_url()},
  };
  if (!settings.work.begun.empty())
    variables.emplace_back("ANTHROPIC_WORK_LAST_HEARTBEAT", settings.work.begun);
  if (settings.work.auth != Auth::secret) variables.emplace_back("ANTHROPIC_ENVIRONMENT_KEY", settings.key);
  if (settings.work.auth != Auth::key) {
    variables.emplace_back("ANTHROPIC_WORK_SECRET",
                           base64url(Json({{"sessions_token", settings.token}}).dump()));
  }
  return variables;
}

Plan SessionServer::on_request(Request request) {
  const std::lock_guard lock(state_->mutex);
  const Time at = now();
  Service& service = state_->service;
  const RequestKind kind = kind_of(request, service.settings.path_prefix);
  Plan plan;
  plan.fault = state_->faults.next(kind, request);
  const bool handled = !plan.fault || plan.fault->commits();
  if (handled) plan.reply = service.handle(request, at);
  if (plan.fault && (!handled || plan.fault->answers_itself())) {
    plan.reply = own_reply(*plan.fault, fmt::format("localhost:{}", port()));
  }
  if (handled) {
    plan.on_lost = [this, delivery = service.last_delivery()] {
      const std::lock_guard relock(state_->mutex);
      state_->service.answer_lost(delivery);
    };
    if (plan.fault && !plan.fault->delivers()) service.answer_lost(service.last_delivery());
  }
  if (kind == RequestKind::post && plan.fault && plan.fault->action == FaultAction::no_answer) {
    service.begin_hanging(request);
    plan.on_closed = [this, request] {
      const std::lock_guard relock(state_->mutex);
      state_->service.end_hanging(request);
    };
  }
  service.record({.kind = kind,
                  .method = request.method,
                  .target = request.target,
                  .status = plan.reply.status,
                  .faulted = plan.fault.has_value(),
                  .at = at});
  if (state_->on_request) state_->on_request(service.requests().size());
  if (plan.reply.opens_stream) {
    plan.on_stream = [this, fault = plan.fault](std::shared_ptr<StreamFeed> feed) {
      const std::lock_guard relock(state_->mutex);
      OpenStream stream{.feed = std::move(feed), .cut_after = {}};
      if (fault && fault->action == FaultAction::cut) {
        stream.cut = fault->cut;
        if (fault->after_events == 0) stream.feed->end(fault->cut);
        if (fault->after_events > 0) stream.cut_after = fault->after_events;
      }
      state_->streams.push_back(std::move(stream));
      ++state_->service.streams_opened;
      state_->service.streams_open = state_->streams.size();
      state_->changed.notify_all();
    };
  }
  if (plan.fault && plan.fault->commit_after) {
    state_->front->after(*plan.fault->commit_after, [this, late = std::move(request)] {
      change([&](Service& s, Time t) {
        s.handle_late(late, t);
        s.answer_lost(s.last_delivery());
      });
    });
  }
  state_->publish();
  return plan;
}

void SessionServer::change(const std::function<void(Service&, Time)>& change) {
  const std::lock_guard lock(state_->mutex);
  change(state_->service, now());
  state_->publish();
}

void SessionServer::call(const NewCall& call) {
  change([&](Service& s, Time t) { s.session.call(call, t); });
}
void SessionServer::confirm(const std::string& call_id, const std::string& result) {
  change([&](Service& s, Time t) { s.session.confirm(call_id, result, t); });
}
void SessionServer::interrupt(const std::optional<std::string>& thread) {
  change([&](Service& s, Time t) { s.session.interrupt(thread, t); });
}
void SessionServer::end_thread(const std::string& thread) {
  change([&](Service& s, Time t) { s.session.end_thread(thread, t); });
}
void SessionServer::idle(const std::string& stop_reason) {
  change([&](Service& s, Time t) { s.session.idle(stop_reason, t); });
}
void SessionServer::terminate(bool deleted) {
  change([&](Service& s, Time t) { s.session.terminate(t, deleted); });
}
void SessionServer::answer_elsewhere(const std::string& call_id, const std::string& text) {
  change([&](Service& s, Time t) { s.session.answer_elsewhere(call_id, text, t); });
}
void SessionServer::append(Json event) {
  change([&](Service& s, Time t) { s.session.append(std::move(event), t); });
}
void SessionServer::ask_to_stop() {
  change([](Service& s, Time) { s.work.ask_to_stop(); });
}
void SessionServer::refuse_extension() {
  change([](Service& s, Time) { s.work.refuse_extension(); });
}
void SessionServer::give_lease_to_another() {
  change([](Service& s, Time t) { s.work.give_to_another(t); });
}

void SessionServer::add_item(const std::string& work_id) {
  change([&](Service& s, Time) { s.add_item(work_id); });
}
void SessionServer::worker_killed() {
  // Its last requests may still wait to be read; taken for its successor's they would make that one guilty.
  if (!state_->front->settle(kSettleLimit))
    change([](Service& s, Time) { s.violate("killed: not settled"); });
  change([](Service& s, Time) { s.worker_killed(); });
}

void SessionServer::send_raw(const std::string& bytes) {
  const std::lock_guard lock(state_->mutex);
  for (auto& stream : state_->streams) stream.feed->push(bytes);
}

void SessionServer::add_fault(Fault fault) {
  const std::lock_guard lock(state_->mutex);
  state_->faults.add(std::move(fault));
}

void SessionServer::clear_faults() {
  const std::lock_guard lock(state_->mutex);
  state_->faults.clear();
}

std::size_t SessionServer::cut_streams(Cut how) {
  const std::lock_guard lock(state_->mutex);
  std::erase_if(state_->streams, [](auto& stream) { return !stream.feed->open(); });
  const std::size_t cut = state_->streams.size();
  for (auto& stream : state_->streams) stream.feed->end(how);
  // From here on they are deaf: what follows must be found in the history.
  state_->streams.clear();
  state_->service.streams_open = 0;
  return cut;
}

void SessionServer::listen(bool on) {
  state_->front->listen(on);
}

bool SessionServer::wait(std::chrono::milliseconds limit, const std::function<bool(const Service&)>& done) {
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, limit, [&] { return done(state_->service); });
}

void SessionServer::nudge() {
  const std::lock_guard lock(state_->mutex);
  state_->changed.notify_all();
}

std::vector<std::string> SessionServer::finish() {
  const std::lock_guard lock(state_->mutex);
  state_->service.finish(now());
  return state_->service.violations();
}

}  // namespace session_server
