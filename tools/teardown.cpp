#include "tools/teardown.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <csignal>
#include <set>
#include <utility>
#include <vector>

#include "tools/control_group.hpp"
#include "tools/offload.hpp"

namespace sandbox_worker::tools {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr auto kGrace = milliseconds(300);
constexpr auto kLimit = milliseconds(1000);
constexpr auto kPoll = milliseconds(10);
/// Whatever the time: what was killed is gone by the second look after it, on a busy machine too.
constexpr int kMinKills = 3;

/// What still runs, killed first when patience is over.
std::vector<pid_t> look(const ProcessMarks& marks, const ControlGroup* group, bool patient) {
  if (!patient) {
    if (group != nullptr) group->kill();
    kill_descendants_with(marks);
  }
  return descendants_with(marks);
}

}  // namespace

asio::awaitable<void> end_processes(asio::any_io_executor pool, ProcessMarks marks,
                                    std::shared_ptr<const ControlGroup> group) {
  const auto begun = Clock::now();
  asio::steady_timer timer(co_await asio::this_coro::executor);
  std::set<pid_t> told;
  int kills = 0;
  for (;;) {
    const bool patient = Clock::now() - begun < kGrace;
    if (!patient) ++kills;
    auto round = [marks, group, patient](const std::stop_token&) {
      return look(marks, group.get(), patient);
    };
    const std::vector<pid_t> left = co_await offload(pool, std::move(round));
    if (left.empty() || (kills >= kMinKills && Clock::now() - begun >= kLimit)) co_return;
    for (const pid_t pid : left) {
      if (!patient || !told.insert(pid).second) continue;
      ::kill(pid, SIGTERM);
      ::kill(pid, SIGCONT);  // a stopped one would only hear of it later
    }
    reap_orphans();
    timer.expires_after(kPoll);
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

}  // namespace sandbox_worker::tools
