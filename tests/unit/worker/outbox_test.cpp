#include "worker/outbox.hpp"

#include <doctest/doctest.h>

#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/support/temp_dir.hpp"
#include "tests/unit/worker/service_fixture.hpp"

using namespace sandbox_worker;
using namespace sandbox_worker::tests;
using namespace std::chrono_literals;
using nlohmann::json;
using Ids = std::vector<std::string>;

namespace {

/// The service's session as far as results go: what was posted, and how each post is to be answered.
class Posts {
 public:
  /// For the nth post (from 1) with these calls: a status line, or empty: no answer, and the connection ends.
  using Answer = std::function<std::string(int nth, const Ids& calls)>;

  explicit Posts(Answer answer)
      : answer_(std::move(answer)), server_([this](Peer& peer, int) {
          for (;;) peer.write(handle(peer.read_request()));
        }) {}

  std::string url() const { return server_.url(); }
  std::vector<Ids> posts() const {
    const std::lock_guard lock(mutex_);
    return posts_;
  }
  int histories() const {
    const std::lock_guard lock(mutex_);
    return histories_;
  }
  json stored(const std::string& id) const {
    const std::lock_guard lock(mutex_);
    const auto found = stored_.find(id);
    return found == stored_.end() ? json() : found->second;
  }
  /// As if an attempt or another client had done it.
  void store(const std::string& id) {
    const std::lock_guard lock(mutex_);
    stored_[id] = {{"type", "user.tool_result"}, {"tool_use_id", id}};
  }

 private:
  std::string handle(const std::string& request) {
    std::unique_lock lock(mutex_);
    if (request.starts_with("GET")) {
      ++histories_;
      json data = json::array();
      for (const auto& [id, event] : stored_) data.push_back(event);
      return answer(json{{"data", data}, {"next_page", nullptr}}.dump());
    }
    const auto body = json::parse(request.substr(request.find("\r\n\r\n") + 4));
    Ids calls;
    for (const auto& event : body["events"]) calls.push_back(event["tool_use_id"]);
    posts_.push_back(calls);
    const int nth = static_cast<int>(posts_.size());
    lock.unlock();
    const auto status = answer_(nth, calls);
    if (status.empty()) throw std::runtime_error("no answer");
    lock.lock();
    if (status.starts_with("200")) {
      for (const auto& event : body["events"]) stored_[event["tool_use_id"]] = event;
    }
    return status_answer(status, {}, "{}");
  }

  const Answer answer_;
  mutable std::mutex mutex_;  // guards the members below
  std::vector<Ids> posts_;
  std::map<std::string, json> stored_;
  int histories_ = 0;
  LoopbackServer server_;  // last: its threads use the members above
};

struct OutboxUnderTest {
  explicit OutboxUnderTest(Posts& posts)
      : service(posts.url()),
        outbox({service.client.io.get_executor(), service.pool.get_executor(), directory.path().string(),
                [this](const std::string& id) { return answered.contains(id); }, [] { return std::nullopt; },
                [this](const std::string& id) { closed.push_back(id); }},
               service.service, log) {}
  ~OutboxUnderTest() { close(0ms); }

  void add(const std::string& id, std::string text = "done") {
    outbox.add({.call_id = id,
                .custom = false,
                .is_error = false,
                .content = {protocol::TextBlock{std::move(text)}}});
  }
  bool until_closed(std::size_t count) {
    return service.client.until([&] { return closed.size() >= count; });
  }
  void close(std::chrono::milliseconds limit) {
    run(service.client.io, [&]() -> boost::asio::awaitable<bool> {
      co_await outbox.close(limit);
      co_return true;
    });
  }

  testing::TempDir directory;
  worker::Log log{worker::LogFormat::text, worker::LogLevel::error};
  ServiceUnderTest service;
  std::set<std::string> answered;
  Ids closed;
  worker::Outbox outbox;
};

}  // namespace

TEST_CASE("outbox: results that finish together share a request") {
  Posts posts([](int, const Ids&) { return "200 OK"; });
  OutboxUnderTest test(posts);
  for (const auto* id : {"a", "b", "c"}) test.add(id);
  REQUIRE(test.until_closed(3));
  CHECK(posts.posts() == std::vector<Ids>{{"a", "b", "c"}});
  test.add("d");
  REQUIRE(test.until_closed(4));
  CHECK(posts.posts().back() == Ids{"d"});
  CHECK(posts.histories() == 0);
}

TEST_CASE("outbox: a refused shared request is sent again one by one, and only the refused one is replaced") {
  Posts posts([](int, const Ids& calls) {
    return std::ranges::find(calls, "b") == calls.end() ? "200 OK" : "422 Unprocessable Entity";
  });
  OutboxUnderTest test(posts);
  for (const auto* id : {"a", "b", "c"}) test.add(id);
  REQUIRE(test.until_closed(3));
  CHECK(posts.posts().front() == Ids{"a", "b", "c"});
  for (const auto& post : posts.posts()) {
    if (&post != &posts.posts().front()) CHECK(post.size() <= 3);
  }
  CHECK(posts.stored("a")["content"][0]["text"] == "done");
  CHECK(posts.stored("c")["content"][0]["text"] == "done");
  CHECK(posts.stored("b").is_null());  // its replacement was refused, too
  CHECK(std::ranges::count(posts.posts(), Ids{"b"}) == 2);
}

TEST_CASE("outbox: a refused result is replaced by a short error, once its call is seen to be unanswered") {
  for (const std::string status : {"400 Bad Request", "413 Payload Too Large", "422 Unprocessable Entity"}) {
    Posts posts([&](int nth, const Ids&) { return nth == 1 ? status : "200 OK"; });
    OutboxUnderTest test(posts);
    test.add("a");
    REQUIRE(test.until_closed(1));
    CHECK(posts.histories() == 1);
    CHECK(posts.posts().size() == 2);
    CHECK(posts.stored("a")["is_error"] == true);
    const std::string text = posts.stored("a")["content"][0]["text"];
    CHECK(text.find("status " + status.substr(0, 3)) != std::string::npos);
  }
}

TEST_CASE("outbox: a refusal of a call that is answered is the end of it") {
  Posts posts([](int, const Ids&) { return "400 Bad Request"; });
  OutboxUnderTest test(posts);
  posts.store("a");
  test.add("a");
  REQUIRE(test.until_closed(1));
  CHECK(posts.histories() == 1);
  CHECK(posts.posts().size() == 1);
}

TEST_CASE("outbox: a result whose answer was lost is looked for before it is sent again") {
  for (const bool arrived : {true, false}) {
    for (const std::string status : {"", "504 Gateway Timeout"}) {
      Posts* stored = nullptr;
      Posts posts([&](int nth, const Ids& calls) {
        if (nth == 1 && arrived) stored->store(calls.front());
        return nth == 1 ? status : "200 OK";
      });
      stored = &posts;
      OutboxUnderTest test(posts);
      test.add("a");
      REQUIRE(test.until_closed(1));
      CHECK(posts.histories() == 1);
      CHECK(posts.posts().size() == (arrived ? 1 : 2));
      CHECK(!posts.stored("a").is_null());
    }
  }
}

TEST_CASE("outbox: an answer that the stream shows is as good as one in the history") {
  Posts posts([](int, const Ids&) { return "503 Service Unavailable"; });
  OutboxUnderTest test(posts);
  test.add("a");
  REQUIRE(test.service.client.until([&] { return !posts.posts().empty(); }));
  test.answered.insert("a");
  REQUIRE(test.until_closed(1));
  CHECK(posts.posts().size() == 1);
  CHECK(posts.histories() == 0);
}

TEST_CASE("outbox: requests that hang hold up none that come later") {
  std::mutex hang;
  hang.lock();
  Posts posts([&](int, const Ids& calls) {
    if (calls.front().starts_with("slow")) const std::lock_guard wait(hang);
    return "200 OK";
  });
  {
    OutboxUnderTest test(posts);
    for (int i = 0; i < 6; ++i) {
      test.add("slow" + std::to_string(i));
      REQUIRE(test.service.client.until([&] { return posts.posts().size() == std::size_t(i) + 1; }));
    }
    test.add("quick");
    REQUIRE(test.until_closed(1));
    CHECK(test.closed == Ids{"quick"});
    hang.unlock();
    REQUIRE(test.until_closed(7));
  }
}

TEST_CASE("outbox: a body that the service would not take is not sent") {
  Posts posts([](int, const Ids&) { return "200 OK"; });
  OutboxUnderTest test(posts);
  test.add("large", std::string(protocol::kMaxPostBytes, 'x'));
  REQUIRE(test.until_closed(1));
  CHECK(posts.posts() == std::vector<Ids>{{"large"}});
  CHECK(posts.stored("large")["is_error"] == true);
  const std::string text = posts.stored("large")["content"][0]["text"];
  CHECK(text.find("30000000 bytes") != std::string::npos);
}

TEST_CASE("outbox: closing tries what waits once more, and gives up what doesn't work in time") {
  std::atomic<bool> up = false;
  Posts posts([&](int, const Ids&) { return up ? "200 OK" : "429 Too Many Requests"; });
  OutboxUnderTest test(posts);
  test.add("a");
  REQUIRE(test.service.client.until([&] { return !posts.posts().empty(); }));
  test.service.client.settle();
  up = true;
  test.close(5s);
  CHECK(test.closed == Ids{"a"});

  Posts down([](int, const Ids&) { return "503 Service Unavailable"; });
  OutboxUnderTest other(down);
  other.add("b");
  REQUIRE(other.service.client.until([&] { return !down.posts().empty(); }));
  other.close(50ms);
  CHECK(other.closed.empty());
}
