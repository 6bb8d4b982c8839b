#include "tests/session_server/player.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <thread>

#include "tests/session_server/expectation.hpp"

namespace session_server {
namespace {

constexpr auto kPollInterval = std::chrono::milliseconds(2);

bool answered(const Service& service, const std::string& call_id) {
  const Call* call = service.session.find(call_id);
  return call != nullptr && !call->answers.empty();
}

}  // namespace

Player::Player(SessionServer& server, const Script& script, WorkerHandle worker, Console& console)
    : server_(server), script_(script), worker_(std::move(worker)), console_(console) {}

void Player::fail(const std::string& what) {
  failures_.push_back(what);
  console_.problem(what);
}

void Player::play_history() {
  in_history_ = true;
  for (auto& step : script_.history) {
    std::visit([this](auto& s) { play(s); }, step);
  }
  in_history_ = false;
}

bool Player::play_steps() {
  try {
    if (script_.worker.attach) {
      server_.wait(script_.wait_limit,
                   [&](const Service& service) { return service.streams_opened > 0 || worker_.gone(); });
    }
    for (auto& step : script_.steps) {
      std::visit([this](auto& s) { play(s); }, step);
    }
    settle_all();
    return true;
  } catch (const GivenUp&) {
    return false;
  }
}

void Player::play_end() {
  switch (script_.end.how) {
    case End::How::idle:
      server_.idle(script_.end.reason);
      break;
    case End::How::terminate:
      server_.terminate();
      break;
    case End::How::remove:
      server_.terminate(true);
      break;
    case End::How::none:
      break;
  }
}

void Player::check_end() {
  server_.inspect([&](const Service& service) {
    for (auto& call : stay_open_) {
      if (!call.answered && answered(service, call.call.id)) {
        fail(fmt::format("{} ({}) was answered, should stay open", call.call.name, call.call.id));
      }
    }
    for (auto& planned : optional_) {
      if (answered(service, planned.call.id)) check(planned, *service.session.find(planned.call.id));
    }
    for (auto& [id, call] : service.session.calls()) {
      if (call.answers.size() > 1)
        fail(fmt::format("{} ({}) has {} answers", call.made.name, id, call.answers.size()));
    }
  });
  const std::size_t streams = server_.inspect([](const Service& service) { return service.streams_opened; });
  if (script_.end.streams && streams != *script_.end.streams) {
    fail(fmt::format("{} streams were opened, should be {}", streams, *script_.end.streams));
  }
  for (auto& check : script_.end.files) play(check);
}

/// Waits for the worker to do something. Gives the script up when it doesn't: what follows builds on it.
void Player::wait_for(const std::string& what, const std::function<bool(const Service&)>& done) {
  bool held = false;
  server_.wait(script_.wait_limit, [&](const Service& service) {
    held = done(service);
    return held || worker_.gone();
  });
  if (held) return;
  fail(worker_.gone() ? "the worker ended before " + what
                      : fmt::format("{} ms passed before {}", script_.wait_limit.count(), what));
  throw GivenUp{};
}

/// The same for what the server is not told of.
void Player::poll_for(const std::string& what, const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + script_.wait_limit;
  while (!done()) {
    if (worker_.gone() || std::chrono::steady_clock::now() > deadline) {
      fail(fmt::format("it was waited in vain for {}", what));
      throw GivenUp{};
    }
    std::this_thread::sleep_for(kPollInterval);
  }
}

void Player::make(PlannedCall call) {
  fill_in(call, worker_.workdir);
  if (!in_history_) console_.made(call.call);
  server_.call(call.call);
  if (call.answered) server_.answer_elsewhere(call.call.id, *call.answered);
  if (call.expect.optional) {
    optional_.push_back(std::move(call));
  } else {
    (call.expect.answered ? expected_ : stay_open_).push_back(std::move(call));
  }
}

void Player::check(const PlannedCall& planned, const Call& call) {
  for (auto& problem : check_answer(planned.expect, call)) {
    fail(fmt::format("{} ({}): {}", planned.call.name, planned.call.id, problem));
  }
}

void Player::settle(const std::string& call_id) {
  const auto found = std::ranges::find(expected_, call_id, [](auto& planned) { return planned.call.id; });
  if (found == expected_.end()) return;
  const PlannedCall planned = *found;
  wait_for(fmt::format("{} ({}) was answered", planned.call.name, call_id),
           [&](const Service& service) { return answered(service, call_id); });
  const Call call = server_.inspect([&](const Service& service) { return *service.session.find(call_id); });
  console_.answered(call);
  check(planned, call);
  expected_.erase(std::ranges::find(expected_, call_id, [](auto& other) { return other.call.id; }));
}

void Player::settle_all() {
  while (!expected_.empty()) settle(expected_.front().call.id);
}

void Player::play(const step::Calls& calls) {
  for (auto& call : calls.calls) make(call);
  if (!calls.wait || in_history_) return;
  for (auto& call : calls.calls) settle(call.call.id);
}

void Player::play(const step::Confirm& confirm) {
  console_.note(fmt::format("the user says {} to {}", confirm.result, confirm.call_id));
  server_.confirm(confirm.call_id, confirm.result);
}

void Player::play(const step::Interrupt& interrupt) {
  console_.note("the user interrupts");
  server_.interrupt(interrupt.thread);
}

void Player::play(const step::EndThread& end) {
  console_.note("thread " + end.thread + " ends");
  server_.end_thread(end.thread);
}

void Player::play(const step::Idle& idle) {
  server_.idle(idle.reason);
}
void Player::play(const step::Terminate& terminate) {
  server_.terminate(terminate.deleted);
}

void Player::play(const step::Append& append) {
  Json event = append.event;
  fill_in(event, worker_.workdir);
  if (append.fill_bytes > 0) event["filler"] = std::string(append.fill_bytes, 'x');
  for (std::size_t i = 0; i < append.repeat; ++i) server_.append(event);
}

void Player::play(const step::SendRaw& raw) {
  server_.send_raw(raw.bytes);
}

void Player::play(const step::AnswerElsewhere& answer) {
  console_.note("another client answers " + answer.call_id);
  std::erase_if(expected_, [&](auto& planned) { return planned.call.id == answer.call_id; });
  server_.answer_elsewhere(answer.call_id, answer.text);
}

void Player::play(const step::AddFault& fault) {
  server_.add_fault(fault.fault);
}
void Player::play(const step::ClearFaults&) {
  server_.clear_faults();
}

void Player::play(const step::CutStreams& cut) {
  wait_for("a stream was open", [](const Service& service) { return service.streams_open > 0; });
  server_.cut_streams(cut.how);
  console_.note("~ stream cut");
}

void Player::play(const step::Listen& listen) {
  console_.note(listen.on ? "the service is back" : "the service is down");
  server_.listen(listen.on);
}

void Player::play(const step::Lease& lease) {
  switch (lease.event) {
    case step::Lease::Event::stop:
      console_.note("the work item is to stop");
      server_.ask_to_stop();
      break;
    case step::Lease::Event::not_extended:
      console_.note("the lease is extended no more");
      server_.refuse_extension();
      break;
    case step::Lease::Event::taken:
      console_.note("another worker takes the lease");
      server_.give_lease_to_another();
      break;
  }
}

void Player::play(const step::Signal& signal) {
  console_.note(fmt::format("signal {} to the worker", signal.number));
  worker_.signal(signal.number);
}

void Player::play(const step::Sleep& sleep) {
  std::this_thread::sleep_for(sleep.time);
}
void Player::play(const step::Restart&) {
  console_.note("the worker is killed, and another one started");
  worker_.restart();
}

void Player::play(const step::Say& say) {
  console_.note(say.text);
}

void Player::play(const step::Touch& touch) {
  std::ofstream file(worker_.workdir / touch.path);
}

void Player::play(const FileCheck& check) {
  for (auto& problem : check_file(check, worker_.workdir)) fail(problem);
}

void Player::play(const step::Await& await) {
  using What = step::Await::What;
  const auto reached = [&](auto count_of) {
    const std::size_t from = await.more ? server_.inspect(count_of) : 0;
    return [=, count = await.count](const Service& service) { return count_of(service) >= from + count; };
  };
  switch (await.what) {
    case What::answers:
      return settle_all();
    case What::call:
      return settle(await.name);
    case What::streams:
      return wait_for(fmt::format("{} streams were opened", await.count),
                      reached([](const Service& service) { return service.streams_opened; }));
    case What::heartbeats:
      return wait_for(fmt::format("{} heartbeats came", await.count),
                      reached([](const Service& service) { return service.work.heartbeats().size(); }));
    case What::requests:
      return wait_for(fmt::format("{} {} requests came", await.count, name_of(await.kind)),
                      reached([kind = await.kind](const Service& service) { return service.count(kind); }));
    case What::file:
      return poll_for("the file " + await.name,
                      [&] { return std::filesystem::exists(worker_.workdir / await.name); });
    case What::exit:
      return poll_for("the worker's end", [&] { return worker_.gone(); });
  }
}

void Player::play(const Load& load) {
  const LoadPlan plan = plan_load(load);
  if (load.post_503_percent > 0) {
    Fault fault;
    fault.on = RequestKind::post;
    fault.action = FaultAction::status;
    fault.status = 503;
    fault.percent = load.post_503_percent;
    fault.seed = load.seed;
    server_.add_fault(fault);
  }
  const std::size_t stretch = load.calls / (load.cut_streams + 1);
  std::size_t cuts = 0;
  for (std::size_t i = 0; i < plan.calls.size(); ++i) {
    if (cuts < load.cut_streams && i == (cuts + 1) * stretch) {
      play(step::CutStreams{});
      ++cuts;
    }
    const NewCall& call = plan.calls[i].call;
    server_.call(call);
    wait_for(fmt::format("less than {} calls were open", load.in_flight), [&](const Service& service) {
      std::size_t open = 0;
      // Older calls have been waited for already: only the last ones can be open.
      for (std::size_t back = 0; back < 2 * load.in_flight && back <= i; ++back) {
        if (!answered(service, plan.calls[i - back].call.id)) ++open;
      }
      return open < load.in_flight;
    });
    if ((i + 1) % 100 == 0) console_.note(fmt::format("{} of {} calls, {} cuts", i + 1, load.calls, cuts));
  }
  wait_for("all calls were answered", [&](const Service& service) {
    return std::ranges::all_of(plan.calls, [&](auto& call) { return answered(service, call.call.id); });
  });
  check_load(plan);
}

void Player::check_load(const LoadPlan& plan) {
  for (auto& planned : plan.calls) {
    Expectation expect;
    expect.is_error = planned.is_error;
    if (!planned.contains.empty()) expect.contains = {planned.contains};
    const Call call =
        server_.inspect([&](const Service& service) { return *service.session.find(planned.call.id); });
    for (auto& problem : check_answer(expect, call))
      fail(fmt::format("{} ({}): {}", planned.call.name, planned.call.id, problem));
  }
  std::ifstream file(worker_.workdir / kRanFile);
  std::multiset<std::string> ran;
  for (std::string line; std::getline(file, line);) ran.insert(line);
  const std::multiset<std::string> expected(plan.ran.begin(), plan.ran.end());
  for (auto& line : std::set<std::string>(ran.begin(), ran.end())) {
    if (ran.count(line) != 1) fail(fmt::format("\"{}\": a command ran {} times", line, ran.count(line)));
  }
  if (ran.size() != expected.size())
    fail(fmt::format("{} commands left a line, should be {}", ran.size(), expected.size()));
}

}  // namespace session_server
