#include "worker/outbox.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "tools/offload.hpp"
#include "worker/limits.hpp"

namespace sandbox_worker::worker {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using protocol::Delivery;
using std::chrono::milliseconds;

namespace {

/// Results that share a request. More of them save no more time, and all of them wait for the slowest byte.
constexpr std::size_t kSharedResults = 32;
constexpr std::size_t kSharedBytes = std::size_t{1} << 20U;

/// Requests at once, each on a connection of its own. One that takes longer than kSlow is counted no more, so
/// that it holds up nothing; kMostPosts keeps connections and memory bounded all the same.
constexpr std::size_t kPostsAtOnce = 4;
constexpr std::size_t kMostPosts = 32;
constexpr milliseconds kSlow = 500ms;

/// Bodies under way: a large one waits while others take so much memory. Small ones never wait for it.
constexpr std::size_t kMostBytesAtOnce = std::size_t{16} << 20U;
constexpr std::size_t kSmallBytes = kSharedBytes;

std::size_t content_bytes(const protocol::CallResult& result) {
  std::size_t bytes = 0;
  for (const auto& block : result.content) {
    const auto* text = std::get_if<protocol::TextBlock>(&block);
    bytes += text ? text->text.size() : std::get<protocol::DataBlock>(block).base64.size();
  }
  return bytes;
}

protocol::PostFailure post_failure(const Failure& failure) {
  return {failure.status, failure.fatal, failure.may_have_acted, failure.retry_after};
}

}  // namespace

Outbox::Outbox(Options options, Service& service, const Log& log)
    : options_(std::move(options)),
      service_(service),
      log_(log),
      store_(options_.pool, options_.directory),
      timer_(options_.executor),
      emptied_(options_.executor) {}

void Outbox::add(protocol::CallResult result, Delivery delivery) {
  taking_in_.remove_if([](const Task& task) { return task.done(); });
  auto& letter = letters_.emplace_back(Letter{result.call_id, result.custom, {}, delivery, /*sending=*/true});
  taking_in_.emplace_back(options_.executor, take_in(letter, std::move(result)));
}

asio::awaitable<void> Outbox::take_in(Letter& letter, protocol::CallResult result) {
  std::string text;
  if (content_bytes(result) < kMaxInlineBytes) {
    text = protocol::encode_result(result);
  } else {
    text = co_await tools::offload(options_.pool,
                                   [&](const std::stop_token&) { return protocol::encode_result(result); });
  }
  result = {};
  if (const auto bytes = text.size();
      bytes + protocol::kResultsBegin.size() + protocol::kResultsEnd.size() > protocol::kMaxPostBytes) {
    log_.warn("result too large", {{"id", letter.id}, {"bytes", bytes}});
    text = protocol::encode_result(
        plain_error(letter, fmt::format("the call ran, but its result of {} bytes is more than the service "
                                        "takes ({} bytes); ask for less at once",
                                        bytes, protocol::kMaxPostBytes)));
  }
  co_await set_text(letter, std::move(text));
  letter.sending = false;
  schedule();
}

asio::awaitable<void> Outbox::set_text(Letter& letter, std::string text) {
  store_.drop(letter.text);
  auto kept = co_await store_.put(std::move(text));
  if (kept) {
    letter.text = std::move(*kept);
    co_return;
  }
  log_.error("result can't be kept until it is posted", {{"id", letter.id}, {"why", kept.error()}});
  letter.text = store_.keep(protocol::encode_result(plain_error(
      letter,
      "the call ran, but its result was lost: too many results wait to be posted (" + kept.error() + ")")));
}

protocol::CallResult Outbox::plain_error(const Letter& letter, std::string text) const {
  protocol::CallResult plain;
  plain.call_id = letter.id;
  plain.custom = letter.custom;
  plain.is_error = true;
  plain.content.emplace_back(protocol::TextBlock{std::move(text)});
  return plain;
}

/// Not at once, so that results that finish in the same turn of the loop share a request.
void Outbox::schedule() {
  if (std::exchange(scheduled_, true)) return;
  asio::post(options_.executor, [this] {
    scheduled_ = false;
    pump();
  });
}

void Outbox::pump() {
  if (closed_) return;
  const auto now = Clock::now();
  postings_.remove_if([](const Posting& posting) { return posting.task->done(); });
  for (;;) {
    auto letters = next_letters(now);
    if (letters.empty()) break;
    std::size_t bytes = 0;
    for (const auto* letter : letters) bytes += letter->text.size();
    if (!may_start(bytes, now)) break;
    for (auto* letter : letters) letter->sending = true;
    auto& posting = postings_.emplace_back(Posting{std::move(letters), bytes, now, std::nullopt});
    posting.task.emplace(options_.executor, run(posting));
  }
  arm(now);
}

/// The oldest result that is due, with those that may share its request.
std::vector<Outbox::Letter*> Outbox::next_letters(Clock::time_point now) {
  std::vector<Letter*> letters;
  std::size_t bytes = 0;
  for (auto& letter : letters_) {
    if (letter.sending || letter.delivery.due() > now) continue;
    if (!letters.empty()) {
      // What must be looked for in the history first would hold up the others.
      const bool alike = letter.delivery.must_check() == letters.front()->delivery.must_check();
      if (!alike || letter.delivery.alone() || bytes + letter.text.size() > kSharedBytes) continue;
    }
    letters.push_back(&letter);
    bytes += letter.text.size();
    if (letter.delivery.alone() || letters.size() == kSharedResults) break;
  }
  return letters;
}

bool Outbox::may_start(std::size_t bytes, Clock::time_point now) const {
  std::size_t quick = 0;
  std::size_t bytes_now = 0;
  for (const auto& posting : postings_) {
    if (posting.task->done()) continue;
    if (now - posting.began < kSlow) ++quick;
    bytes_now += posting.bytes;
  }
  if (quick >= kPostsAtOnce || postings_.size() >= kMostPosts) return false;
  return bytes <= kSmallBytes || bytes_now == 0 || bytes_now + bytes <= kMostBytesAtOnce;
}

/// For the next result that is due, and for the moment when a request counts as slow. Every end of a request
/// calls pump() by itself.
void Outbox::arm(Clock::time_point now) {
  auto next = Clock::time_point::max();
  bool one_waits = false;
  for (const auto& letter : letters_) {
    if (letter.sending) continue;
    if (letter.delivery.due() > now) next = std::min(next, letter.delivery.due());
    one_waits = one_waits || letter.delivery.due() <= now;
  }
  for (const auto& posting : postings_) {
    const auto slow = posting.began + kSlow;
    if (one_waits && slow > now) next = std::min(next, slow);
  }
  if (next == Clock::time_point::max()) {
    timer_.cancel();
    return;
  }
  timer_.expires_at(next);
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error) pump();
  });
}

asio::awaitable<void> Outbox::run(Posting& posting) {
  co_await post(posting);
  for (auto* letter : posting.letters) letter->sending = false;
  posting.letters.clear();
  schedule();
}

asio::awaitable<void> Outbox::post(Posting& posting) {
  drop_answered(posting);
  if (!posting.letters.empty() && posting.letters.front()->delivery.must_check()) {
    if (!co_await check(posting)) co_return;
  }
  if (posting.letters.empty()) co_return;
  std::vector<const ResultStore::Kept*> texts;
  texts.reserve(posting.letters.size());
  for (const auto* letter : posting.letters) texts.push_back(&letter->text);
  auto body = co_await store_.join(std::move(texts), std::string(protocol::kResultsBegin),
                                   std::string(protocol::kResultsEnd));
  if (!body) {
    // What can't be read back is lost; the session must not wait for it for ever.
    for (auto* letter : posting.letters) {
      log_.error("result lost", {{"id", letter->id}, {"why", body.error()}});
      auto error = plain_error(*letter, "the call ran, but its result was lost: " + body.error());
      store_.drop(letter->text);
      letter->text = store_.keep(protocol::encode_result(error));
    }
    co_return;
  }
  const auto answer = co_await service_.post(std::move(*body));
  if (answer) {
    for (auto* letter : std::exchange(posting.letters, {})) finish(*letter);
  } else {
    drop_answered(posting);
    on_failure(posting, answer.error());
  }
}

/// Leaves those whose call the history shows to be unanswered. False: it can't be read, and all of them wait.
/// The connection of the attempt that failed is closed by now, so that what it still carries is cut off.
asio::awaitable<bool> Outbox::check(Posting& posting) {
  std::set<std::string> open;
  for (const auto* letter : posting.letters) open.insert(letter->id);
  const auto answered = co_await answers_in_history(std::move(open));
  const auto now = Clock::now();
  if (!answered) {
    const auto& failure = answered.error();
    log_.warn("results are not posted before the history can be read", {{"why", failure.message}});
    for (auto* letter : posting.letters) {
      letter->delivery.on_unchecked(failure.retry_after, now, random_fraction());
    }
    co_return false;
  }
  std::vector<Letter*> unanswered;
  for (auto* letter : std::exchange(posting.letters, {})) {
    if (answered->contains(letter->id) || options_.is_answered(letter->id)) {
      log_.info("result had arrived", {{"id", letter->id}});
      finish(*letter);
    } else {
      unanswered.push_back(letter);
    }
  }
  posting.letters = std::move(unanswered);
  for (auto* letter : posting.letters) {
    const auto status = letter->delivery.refused_with();
    if (letter->delivery.on_unanswered() != Delivery::Next::replace) continue;
    co_await set_text(*letter, protocol::encode_result(plain_error(
                                   *letter, fmt::format("the call ran, but the service refused its result "
                                                        "(status {}); ask for less at once",
                                                        status))));
  }
  co_return true;
}

/// Those of `open`, and no more: a history may be long.
asio::awaitable<std::expected<std::set<std::string>, Failure>> Outbox::answers_in_history(
    std::set<std::string> open) {
  std::set<std::string> answered;
  const auto read =
      co_await service_.history(options_.history_from(), {.on_event = [&](protocol::TimedEvent event) {
                                  const auto* answer = std::get_if<protocol::ToolAnswered>(&event.event);
                                  if (answer && open.contains(answer->tool_use_id))
                                    answered.insert(answer->tool_use_id);
                                }});
  if (!read) co_return std::unexpected(read.error());
  co_return answered;
}

void Outbox::on_failure(Posting& posting, const Failure& failure) {
  const auto now = Clock::now();
  const bool shared = posting.letters.size() > 1;
  for (auto* letter : std::exchange(posting.letters, {})) {
    const auto next = letter->delivery.on_failure(post_failure(failure), shared, now, random_fraction());
    if (next == Delivery::Next::give_up) {
      log_.error("result refused", {{"id", letter->id}, {"why", failure.message}});
      finish(*letter);
      continue;
    }
    const auto delay = std::chrono::duration_cast<milliseconds>(letter->delivery.due() - now);
    log_.warn("result not posted, trying again",
              {{"id", letter->id}, {"why", failure.message}, {"delay_ms", delay.count()}});
    letter->sending = false;
  }
}

void Outbox::drop_answered(Posting& posting) {
  std::vector<Letter*> open;
  for (auto* letter : std::exchange(posting.letters, {})) {
    if (options_.is_answered(letter->id)) {
      finish(*letter);
    } else {
      open.push_back(letter);
    }
  }
  posting.letters = std::move(open);
}

void Outbox::finish(Letter& letter) {
  store_.drop(letter.text);
  const auto id = std::move(letter.id);
  letters_.remove_if([&](const Letter& other) { return &other == &letter; });
  if (closing_ && letters_.empty()) emptied_.open();
  options_.on_closed(id);
}

bool Outbox::at_rest() const {
  return std::ranges::all_of(taking_in_, [](const Task& task) { return task.done(); }) &&
         std::ranges::all_of(postings_, [](const Posting& posting) { return posting.task->done(); });
}

asio::awaitable<void> Outbox::close(milliseconds limit) {
  closing_ = true;
  for (auto& letter : letters_) letter.delivery.hurry(Clock::now());
  if (letters_.empty()) emptied_.open();
  pump();
  co_await within(limit, emptied_.wait());
  for (const auto& letter : letters_) {
    if (!options_.is_answered(letter.id)) log_.error("result given up", {{"id", letter.id}});
  }
  closed_ = true;
  timer_.cancel();
  for (auto& task : taking_in_) task.cancel();
  for (auto& posting : postings_) posting.task->cancel();
  for (auto& task : taking_in_) co_await task.join();
  for (auto& posting : postings_) co_await posting.task->join();
}

}  // namespace sandbox_worker::worker
