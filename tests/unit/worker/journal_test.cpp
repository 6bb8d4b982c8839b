#include "worker/journal.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <filesystem>
#include <fstream>

#include "tests/support/call_result.hpp"
#include "tests/support/left_out.hpp"
#include "tests/support/temp_dir.hpp"
#include "tools/bash_process.hpp"

namespace asio = boost::asio;
namespace fs = std::filesystem;
using namespace sandbox_worker::worker;
using sandbox_worker::protocol::CallResult;
using sandbox_worker::protocol::TextBlock;
using sandbox_worker::testing::leave_out;
using sandbox_worker::testing::result_of;
using sandbox_worker::testing::TempDir;

namespace {

std::string text_of(const CallResult& result) {
  return std::get<TextBlock>(result.content.at(0)).text;
}

/// A directory in which one worker after the other has the journal.
struct Place {
  TempDir dir;
  asio::io_context io;
  asio::thread_pool pool{2};
  const Log log{LogFormat::text, LogLevel::error};

  std::unique_ptr<Journal> open(std::string session = "sesn_1", std::string work = "work_1") {
    auto journal = Journal::open({pool.get_executor(), path(), std::move(session), std::move(work)}, log);
    REQUIRE(journal);
    return *std::move(journal);
  }
  std::unique_ptr<Journal> take_over() {
    auto journal = open();
    REQUIRE(journal->take_over(sandbox_worker::tools::tag_family()));
    return journal;
  }
  void finished(Journal& journal, const CallResult& result) { run(journal.finished(result)); }
  CallResult recall(Journal& journal, std::string id) {
    std::optional<CallResult> recalled;
    run([&]() -> asio::awaitable<void> { recalled = co_await journal.recall(std::move(id), false); }());
    return *recalled;
  }
  void run(asio::awaitable<void> work) {
    asio::co_spawn(io, std::move(work), [](std::exception_ptr error) {
      if (error) std::rethrow_exception(error);
    });
    io.run();
    io.restart();
  }
  std::string path() const { return dir.path(); }
  std::string file() const { return dir.path() / "journal"; }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()));
  }
};

}  // namespace

TEST_CASE("journal: what had begun and what had finished is known to the next worker") {
  Place place;
  {
    auto journal = place.take_over();
    REQUIRE(journal->began("begun"));
    REQUIRE(journal->began("finished"));
    REQUIRE(journal->began("large"));
    REQUIRE(journal->began("answered"));
    place.finished(*journal, result_of("finished", "the result"));
    place.finished(*journal, result_of("large", std::string(1'000'000, 'x')));
    journal->answered("answered");
    CHECK_FALSE(journal->settled());
  }  // as if killed: nothing is done at the end
  auto journal = place.open();
  CHECK(journal->work_before() == "work_1");
  CHECK(journal->begun() == std::vector<std::string>{"begun", "finished", "large"});
  CHECK(text_of(place.recall(*journal, "finished")) == "the result");
  CHECK(text_of(place.recall(*journal, "large")) == std::string(1'000'000, 'x'));
  const auto interrupted = place.recall(*journal, "begun");
  CHECK(interrupted.is_error);
  CHECK(text_of(interrupted).find("may have taken effect and was not run again") != std::string::npos);
}

TEST_CASE("journal: a third worker knows what the second one was told") {
  Place place;
  {
    auto journal = place.take_over();
    REQUIRE(journal->began("a"));
    REQUIRE(journal->began("b"));
    place.finished(*journal, result_of("a", "result of a"));
  }
  {
    auto journal = place.open();
    journal->answered("b");  // the history may be read before the processes are ended
    REQUIRE(journal->take_over(sandbox_worker::tools::tag_family()));
  }
  auto journal = place.open();
  CHECK(journal->begun() == std::vector<std::string>{"a"});
  CHECK(text_of(place.recall(*journal, "a")) == "result of a");
}

TEST_CASE("journal: private files only, and none when it is removed") {
  Place place;
  auto journal = place.take_over();
  REQUIRE(journal->began("large"));
  place.finished(*journal, result_of("large", std::string(100'000, 'x')));
  CHECK(place.files() == 2);
  for (const auto& entry : fs::directory_iterator(place.dir.path())) {
    CHECK((fs::status(entry).permissions() & fs::perms::all) ==
          (fs::perms::owner_read | fs::perms::owner_write));
  }
  journal->remove();
  CHECK_FALSE(fs::exists(place.path()));
}

TEST_CASE("journal: a result that is posted leaves no file, and one without a call is not kept") {
  Place place;
  auto journal = place.take_over();
  REQUIRE(journal->began("large"));
  place.finished(*journal, result_of("large", std::string(100'000, 'x')));
  journal->closed("large");
  place.pool.join();
  CHECK(place.files() == 1);
  CHECK_FALSE(journal->settled());  // nobody has seen the answer yet
  journal->answered("large");
  CHECK(journal->settled());
  place.finished(*journal, result_of("never-begun", "x"));
  CHECK(journal->settled());
}

TEST_CASE("journal: files of results that nothing refers to are removed") {
  Place place;
  place.dir.write("result-41", "written, but the worker was killed before the journal said so");
  place.dir.write("result-x", "not ours");
  auto journal = place.take_over();
  CHECK_FALSE(fs::exists(place.dir / "result-41"));
  CHECK(fs::exists(place.dir / "result-x"));
  REQUIRE(journal->began("large"));
  place.finished(*journal, result_of("large", std::string(100'000, 'x')));
  CHECK(fs::exists(place.dir / "result-42"));
}

TEST_CASE("journal: a lost or changed result file is told as an interruption") {
  Place place;
  {
    auto journal = place.take_over();
    REQUIRE(journal->began("lost"));
    REQUIRE(journal->began("changed"));
    place.finished(*journal, result_of("lost", std::string(100'000, 'x')));
    place.finished(*journal, result_of("changed", std::string(100'000, 'x')));
  }
  fs::remove(place.dir / "result-1");
  place.dir.write("result-2", place.dir.read("result-2").replace(5000, 1, "y"));
  auto journal = place.open();
  for (const auto* id : {"lost", "changed"}) {
    const auto result = place.recall(*journal, id);
    CHECK(result.call_id == id);
    CHECK(text_of(result).starts_with("interrupted"));
  }
}

TEST_CASE("journal: the file stays small however many calls come and go") {
  Place place;
  auto journal = place.take_over();
  REQUIRE(journal->began("open"));
  for (int i = 0; i < 2000; ++i) {
    const auto id = fmt::format("call-{}", i);
    REQUIRE(journal->began(id));
    place.finished(*journal, result_of(id, std::string(4000, 'x')));
    journal->closed(id);
    journal->answered(id);
  }
  CHECK(fs::file_size(place.file()) < 1'200'000);
  auto next = place.open();
  CHECK(next->begun() == std::vector<std::string>{"open"});
}

TEST_CASE("journal: what can't be understood is ignored, and the place is used all the same") {
  Place place;
  SUBCASE("anything") {
    place.dir.write("journal", "anything");
  }
  SUBCASE("another session's") {
    auto other = place.open("sesn_2", "work_1");
    REQUIRE(other->take_over(sandbox_worker::tools::tag_family()));
    REQUIRE(other->began("theirs"));
  }
  SUBCASE("a link to another file") {
    place.dir.write("elsewhere", "precious");
    place.dir.link("journal", place.dir / "elsewhere");
  }
  SUBCASE("a pipe, which is not waited for") {
    REQUIRE(::mkfifo(place.file().c_str(), 0600) == 0);
  }
  auto journal = place.take_over();
  CHECK(journal->work_before().empty());
  CHECK(journal->begun().empty());
  REQUIRE(journal->began("call"));
  CHECK(place.open()->begun() == std::vector<std::string>{"call"});
  if (fs::exists(place.dir / "elsewhere")) CHECK(place.dir.read("elsewhere") == "precious");
}

TEST_CASE("journal: a torn last record is overwritten by the next one") {
  Place place;
  {
    auto journal = place.take_over();
    REQUIRE(journal->began("first"));
  }
  const auto whole = fs::file_size(place.file());
  place.dir.write("journal", place.dir.read("journal") + "half a record");
  auto journal = place.take_over();
  CHECK(journal->begun() == std::vector<std::string>{"first"});
  REQUIRE(journal->began("second"));
  CHECK(fs::file_size(place.file()) > whole);
  CHECK(place.open()->begun() == std::vector<std::string>{"first", "second"});
}

TEST_CASE("journal: processes of another boot are not looked for") {
  Place place;
  {
    auto journal = place.take_over();
    journal->shell_started(::getpid());
  }
  CHECK(place.open()->processes().shells.size() == 1);
  auto decoded = decode_journal(place.dir.read("journal"));
  REQUIRE(decoded);
  decoded->content.header.boot_id = "another";
  place.dir.write("journal", decoded->content.encode());
  CHECK(place.open()->processes().shells.empty());
  CHECK(place.open()->processes().tag_families.empty());
}

TEST_CASE("journal: on a full disk calls still begin, and results are done without") {
  Place place;
  if (::mount("tmpfs", place.path().c_str(), "tmpfs", 0, "size=2m") != 0) {
    leave_out("MOUNTS");
    return;
  }
  {
    auto journal = place.take_over();
    {
      std::ofstream filler(place.dir / "filler");
      const std::string block(4096, 'x');
      while (filler.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
      }
    }
    int begun = 0;
    const auto id = [](int number) { return fmt::format("sevt_01ABCDEFGHIJKLMNOPQRSTUV{:06}", number); };
    for (; begun < 100'000 && journal->began(id(begun)); ++begun) {
      if (begun < 100) place.finished(*journal, result_of(id(begun), std::string(10'000, 'x')));
    }
    CHECK(begun > 4000);
    CHECK(begun < 100'000);
    CHECK(journal->began(id(begun)).error().find("No space left") != std::string::npos);
    auto next = place.open();
    CHECK(next->begun().size() == static_cast<std::size_t>(begun));
    fs::remove(place.dir / "filler");
    CHECK(journal->began(id(begun)));
    CHECK(place.open()->begun().size() == static_cast<std::size_t>(begun) + 1);
  }
  ::umount2(place.path().c_str(), MNT_DETACH);
}
