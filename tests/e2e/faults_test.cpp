#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <fstream>

#include "tests/e2e/in_parallel.hpp"
#include "tests/e2e/serving.hpp"
#include "tests/support/test_certificates.hpp"

using namespace session_server;
using namespace std::chrono_literals;
using sandbox_worker::tests::TestCa;
using std::chrono::milliseconds;

namespace {

/// What one fault of one request comes to.
enum class Outcome {
  again,        // sent again until it works; the run goes on
  counted,      // it took effect, which the worker finds out; nothing happens twice
  fine,         // as good as success
  short_error,  // a short error takes the result's place
  given_up,     // the result is given up with a log line; the run goes on
  exit_1,       // the run ends with 1
};
using enum Outcome;

const char* text_of(Outcome outcome) {
  constexpr const char* kTexts[] = {"again", "counted", "fine", "short error", "given up", "exit 1"};
  return kTexts[static_cast<int>(outcome)];
}

constexpr std::array kKinds = {RequestKind::session, RequestKind::stream,    RequestKind::history,
                               RequestKind::post,    RequestKind::heartbeat, RequestKind::stop};

struct Row {
  const char* name;
  Fault fault;
  std::array<Outcome, kKinds.size()> outcomes;  // in the order of kKinds
};

Fault status(unsigned code) {
  return {.action = FaultAction::status, .status = code};
}

Fault retry_after_a_second() {
  return {.action = FaultAction::status, .status = 429, .headers = {{"retry-after", "1"}}};
}

/// The one table: docs/faults.md shows it, and each of its cells is a test.
const std::vector<Row>& table() {
  // A request that is handled although its answer is spoilt: GETs are simply sent again.
  constexpr std::array kLost = {again, again, again, counted, counted, counted};
  constexpr std::array kAgain = {again, again, again, again, again, again};
  constexpr std::array kFatal = {exit_1, exit_1, again, given_up, exit_1, exit_1};
  static const std::vector<Row> rows = {
      {"connection refused", {.action = FaultAction::down}, kAgain},
      {"TLS handshake fails", {.action = FaultAction::no_tls}, kAgain},
      {"closed before the answer", {.action = FaultAction::close}, kAgain},
      {"reset before the answer", {.action = FaultAction::reset}, kAgain},
      {"reset within the answer", {.action = FaultAction::reset_body}, kLost},
      {"half a header", {.action = FaultAction::close_header}, kLost},
      {"half a body", {.action = FaultAction::half_body}, kLost},
      {"header too slow", {.action = FaultAction::drip, .gap = 40ms}, kLost},
      {"no answer at all", {.action = FaultAction::no_answer}, kAgain},
      {"invalid JSON", {.action = FaultAction::invalid_json}, kAgain},
      {"wrong content type", {.action = FaultAction::wrong_content_type}, kAgain},
      {"redirect", {.action = FaultAction::redirect}, {exit_1, exit_1, again, given_up, again, exit_1}},
      {"401", status(401), kFatal},
      {"403", status(403), kFatal},
      {"404", status(404), kFatal},
      {"408", status(408), kAgain},
      {"409", status(409), {again, again, again, again, again, fine}},
      {"413", status(413), {exit_1, exit_1, again, short_error, exit_1, exit_1}},
      {"425", status(425), kAgain},
      {"429 with retry-after", retry_after_a_second(), kAgain},
      {"500", status(500), kAgain},
      {"502", status(502), kAgain},
      {"503", status(503), kAgain},
      {"504", status(504), kAgain},
      {"529", status(529), kAgain},
      {"504 of a gateway, the request took effect",
       {.action = FaultAction::status, .status = 504, .commit = true},
       kLost},
  };
  return rows;
}

std::string markdown() {
  std::string text = "| fault | session | stream | history page | post | heartbeat | stop |\n";
  text += "|---|---|---|---|---|---|---|\n";
  for (const auto& row : table()) {
    text += fmt::format("| {} |", row.name);
    for (const auto outcome : row.outcomes) text += fmt::format(" {} |", text_of(outcome));
    text += '\n';
  }
  return text;
}

struct Case {
  const Row* row;
  RequestKind kind;
  Outcome outcome;

  std::string name() const { return fmt::format("{} × {}", row->name, name_of(kind)); }
};

/// For how long nothing can be connected: over the first attempt to do so, not over the last.
milliseconds outage(RequestKind kind) {
  switch (kind) {
    case RequestKind::post:
      return 1100ms;
    case RequestKind::stop:
      return 300ms;
    default:
      return 600ms;
  }
}

const TestCa& authority() {
  static const TestCa ca;
  return ca;
}

std::unique_ptr<SessionServer> serve(const Case& test) {
  Settings settings;
  // Long enough for a second beat after one that is cut off.
  settings.work.ttl_seconds = test.kind == RequestKind::heartbeat ? 8 : 30;
  settings.stream.ping = 300ms;
  SessionServer::Options options;
  if (test.row->fault.action == FaultAction::no_tls) {
    static const auto identity = authority().issue({"DNS:localhost"});
    options.tls = TlsIdentity{identity.certificate_pem(), identity.key_pem()};
  }
  auto server = std::make_unique<SessionServer>(std::move(settings), std::move(options));
  Fault fault = test.row->fault;
  fault.on = test.kind;
  if (test.kind == RequestKind::heartbeat) fault.skip = 1;  // the first one begins the lease
  if (fault.delay == 0ms) fault.delay = outage(test.kind);
  server->add_fault(std::move(fault));
  return server;
}

/// What the log says of the requests, for a test that fails.
std::string requests_of(const Service& service) {
  std::string text;
  const auto first = service.requests().empty() ? Time() : service.requests().front().at;
  for (const auto& request : service.requests()) {
    const auto at = std::chrono::duration_cast<milliseconds>(request.at - first);
    text += fmt::format("{:6} ms {} {}{}\n", at.count(), name_of(request.kind), request.status,
                        request.faulted ? " (fault)" : "");
  }
  return text;
}

/// Empty when at least a second lies between the fault and the next request of the kind.
std::string check_retry_after(const Service& service, RequestKind kind) {
  std::optional<Time> faulted;
  for (const auto& request : service.requests()) {
    if (request.kind != kind) continue;
    if (faulted) return request.at - *faulted >= 1s ? "" : "retry-after was not obeyed";
    if (request.faulted) faulted = request.at;
  }
  return "no second request";
}

/// Plays one session in which the fault happens once. Says what was not as the table has it.
std::string deviation(const Case& test, SessionServer& server, WorkerRun& run) {
  constexpr const char* kFirst = "sevt_first";
  const bool ends_early = test.outcome == exit_1 && test.kind != RequestKind::stop;
  if (ends_early) {
    const auto exit = run.wait_for_exit(20s);
    if (exit != 1) return fmt::format("exit {}, not 1", exit.value_or(-1));
    const bool stopped = server.inspect([](const Service& s) { return s.work.stopped_by_worker(); });
    return stopped ? "" : "the item was not stopped";
  }
  if (test.outcome == given_up) {
    if (!poll(20s, [&] { return run.log().find("result refused") != std::string::npos; }))
      return "nothing in the log";
    run_bash(server, "sevt_second", "echo second");
    if (!server.wait(20s, [](const Service& s) { return answered(s, "sevt_second"); }))
      return "the session did not go on";
  } else if (!server.wait(20s, [](const Service& s) { return answered(s, kFirst); })) {
    return "the call has no answer";
  }
  if (test.kind == RequestKind::heartbeat) {
    const auto beats = [](const Service& s) {
      return s.count(RequestKind::heartbeat) >= 3 && s.handled(RequestKind::heartbeat) >= 2;
    };
    if (!server.wait(20s, beats)) return "no heartbeat after the fault";
  }
  server.idle();
  const auto exit = run.wait_for_exit(20s);
  if (exit != (test.outcome == exit_1 ? 1 : 0)) return fmt::format("exit {}", exit.value_or(-1));

  return server.inspect([&](const Service& s) -> std::string {
    const auto expected = test.outcome == given_up ? 0U : 1U;
    if (answers(s, kFirst) != expected) return fmt::format("{} answers", answers(s, kFirst));
    const bool is_error = expected == 1 && s.session.find(kFirst)->answers.front().is_error;
    if (is_error != (test.outcome == short_error)) return "the wrong answer";
    if (test.outcome != exit_1 && test.outcome != fine && !s.work.stopped())
      return "the item was not stopped";
    if (test.outcome == again && s.count(test.kind) < 2) return "not sent again";
    if (test.outcome == counted && test.kind == RequestKind::post && s.count(test.kind) != 1)
      return "posted twice";
    const bool wished = !test.row->fault.headers.empty() && test.kind != RequestKind::heartbeat;
    return wished ? check_retry_after(s, test.kind) : "";
  });
}

std::string play(const Case& test) {
  const auto server = serve(test);
  const auto first_call = [&] { run_bash(*server, "sevt_first", "echo first"); };
  // Only the history page can bring a call that is there before the stream is.
  if (test.kind == RequestKind::history) first_call();
  WorkerRun::Options options;
  options.environment["SANDBOX_WORKER_MAX_IDLE"] = "200ms";
  options.environment["SANDBOX_WORKER_CA_FILE"] = authority().file();
  options.arguments = {"--connect-timeout", "700ms", "--tls-timeout",      "700ms",
                       "--write-timeout",   "2s",    "--response-timeout", "2s"};
  WorkerRun run(server.get(), std::move(options));
  if (test.kind != RequestKind::history) first_call();
  auto wrong = deviation(test, *server, run);
  if (wrong.empty()) {
    for (const auto& violation : server->finish()) wrong += violation + "; ";
  }
  if (wrong.empty()) return {};
  return fmt::format("{}: expected \"{}\", but {}\n{}{}", test.name(), text_of(test.outcome), wrong,
                     server->inspect(requests_of), run.log());
}

}  // namespace

TEST_CASE("faults: each fault of each kind of request comes to what the table says") {
  std::vector<Case> cases;
  for (const auto& row : table()) {
    for (std::size_t i = 0; i < kKinds.size(); ++i) cases.push_back({&row, kKinds[i], row.outcomes[i]});
  }
  authority();  // made before the threads need it
  for (const auto& failure : failures_in_parallel(cases, 8, play)) FAIL_CHECK(failure);
}

TEST_CASE("faults: docs/faults.md shows the table as it is tested") {
  std::ifstream file(SOURCE_DIRECTORY "/docs/faults.md");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto expected = markdown();
  CAPTURE(expected);
  CHECK(text.find(expected) != std::string::npos);
}
