// What glob and grep must bear: hostile patterns, huge directories, files that aren't files, and being cut.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "tests/support/search_tools.hpp"
#include "tools/file_searcher.hpp"
#include "tools/glob.hpp"
#include "tools/grep.hpp"

using namespace sandbox_worker::tools;
using namespace std::chrono_literals;
using sandbox_worker::testing::SearchTools;
using Clock = std::chrono::steady_clock;

namespace {

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kMemoryIsOurs = false;  // a sanitizer keeps what was freed
#else
constexpr bool kMemoryIsOurs = true;
#endif

/// How much more memory than at its beginning this process has had, in KiB.
class PeakMemory {
 public:
  PeakMemory() {
    std::ofstream("/proc/self/clear_refs") << 5;
    begin_ = status("VmRSS:");
  }
  long grown() const { return status("VmHWM:") - begin_; }

 private:
  static long status(const std::string& field) {
    std::ifstream in("/proc/self/status");
    for (std::string word; in >> word;) {
      long value = 0;
      if (word == field && in >> value) return value;
    }
    return 0;
  }
  long begin_ = 0;
};

std::string repeated(std::string_view part, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += part;
  return out;
}

std::string random_text(std::string_view letters, std::size_t size) {
  std::mt19937 random(3);
  std::string out;
  while (out.size() < size) out += letters[random() % letters.size()];
  return out;
}

template <class Tool>
std::string search(const SearchTools& tree, std::string_view pattern, std::string_view path = ".") {
  const Tool tool(tree.options);
  return tree.relative(SearchTools::text_of(tool.search(pattern, path, {})));
}

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// On this text it takes a step for each byte and state: a megabyte is ten seconds' work.
constexpr std::string_view kSlowPattern = "[ab]*a[ab]{900}x";

}  // namespace

TEST_CASE("search_limits: no pattern of grep takes long or much memory") {
  SearchTools tree;
  tree.options.limits.search_timeout = 300ms;
  tree.write("a", repeated("a", 100'000));
  tree.write("ab", random_text("ab", 100'000));
  tree.write("lines", random_text("aab \n", 300'000));
  tree.write("words", random_text("the quick (brown) fox_42\n", 300'000));
  const std::string patterns[] = {
      "(a*)*b",
      "(a+)+$",
      "(a|aa)+$",
      "((a+)+)+b",
      "(((((a*)*)*)*)*)*c",
      "(x+x+)+y",
      std::string(kSlowPattern),
      "(?:a?){500}a{500}",
      "(?:a|b|ab|ba){500}c",
      "(?:.{1,1000}x){1}y",
      "(?i)(?:.{0,30}a){30}Q",
      "((a{1,10}){1,10}){1,10}q",
      "(.*)(.*)(.*)(.*)(.*)[^\\n]{900}\\bq",
      "(?s)(.*)(.*)(.*)(.*)(.*)x{1000}",
      "(?s)(?:.*a){400}q",
      "[ab]*\\n[ab]*\\n[ab]{500}x",
      "\\pL{1000}",
      "\\pL{430}",
      repeated("\\pL", 5'333),
      repeated("\\pL|", 4'000),
      repeated("[^\\pL]", 2'600),
      repeated("(", 300) + repeated("\\p{Lu}", 2'200) + repeated(")", 300),
      "(?:[^x\\p{Lu}]\\d\\W){150}",
      "(?:abcdefghijklmnopqrstuvwxyz0123456789){1000}",
      "(?:\\pL\\PL){300}",
      "(?:(?:(?:\\w{1,9}){1,9}){1,9}){1,9}",
      "(((a{100}){100}){100}){100}",
      repeated("a", 100'000),
      repeated("a*", 8'000),
      repeated("a?", 2500) + repeated("b?", 2500),
      repeated("a?", 8'000),
      repeated("(?:a?){1000}", 60),
      repeated("(", 300) + repeated("(?:a?){1000}", 60) + repeated(")", 300),
      repeated("(", 300) + repeated("a?", 7'000) + repeated(")", 300),
      repeated("a*", 50'000),
      repeated("a?", 50'000),
      repeated("{a,b}", 30),
      repeated("(a|b)", 30) + "c",
      repeated("(a|b)", 3'000),
      repeated("(a|b)", 20'000),
      repeated("a|", 8'000),
      repeated("a|", 50'000),
      repeated("[ab]", 4'000),
      repeated("[ab]", 25'000),
      repeated("(", 16'000),
      repeated("(", 100'000),
      repeated("(?:", 900) + "a" + repeated(")*", 900),
      repeated("(?i)", 4'000) + "z",
      repeated("\\b", 8'000) + "z",
      repeated("$", 16'000),
      repeated("$", 100'000),
      repeated("^", 16'000),
      repeated("*a", 50'000),
      repeated("\xC3\xA9*", 30'000),
      repeated("[^\n]*", 2'600) + "q",
      "[" + repeated("a-z", 5'000) + "]",
      "a{1000}{1000}",
      "(?:" + repeated("|", 16'000) + ")",
      "\\Q" + repeated("ab", 8'000),
      repeated(".*", 1000) + "a" + repeated(".*", 1000),
      "^(?:(?:a|b){1,50}){1,50}$",
  };
  for (const auto& pattern : patterns) {
    CAPTURE(pattern.substr(0, 60));
    const PeakMemory memory;
    const auto begin = Clock::now();
    const std::string text = search<Grep>(tree, pattern);
    CHECK_FALSE(text.empty());
    CHECK(Clock::now() - begin < 5s);
    if (kMemoryIsOurs) CHECK(memory.grown() < 64 * 1024);
  }
}

TEST_CASE("search_limits: no pattern of glob takes long or much memory") {
  SearchTools tree;
  tree.options.limits.search_timeout = 300ms;
  tree.write(std::string(255, 'a'), "");
  tree.write(repeated("a/", 200) + "a", "");
  tree.write(repeated("ab/", 60) + "b", "");
  const std::string patterns[] = {
      repeated("*a", 1000) + "b",
      repeated("*a", 2000),
      repeated("*", 4000) + "b",
      repeated("**/", 1000) + "b",
      repeated("**/a*/", 600) + "b",
      repeated("**/*a/", 600) + "**/*b",
      repeated("{a,b}", 30),
      repeated("{a,b}", 800),
      repeated("{*a,*b}", 500),
      repeated("{,a}", 1000),
      repeated("{,*}", 1000) + "b",
      repeated("{**/,}", 600) + "b",
      repeated("{a,", 90) + "b" + repeated("}", 90),
      repeated("{", 2000) + repeated("}", 2000),
      repeated("[!b]", 1000),
      "[" + repeated("a-z", 1300) + "]",
      repeated("?", 4000),
      repeated("\\*", 2000),
      repeated("a", 100'000),
      repeated("*a", 50'000),
      repeated("{a,b}", 20'000),
      repeated("{", 100'000),
      repeated("[", 100'000),
      repeated("a/", 50'000) + "*",
      repeated("./", 50'000) + "*",
      repeated("/", 100'000),
  };
  for (const auto& pattern : patterns) {
    CAPTURE(pattern.substr(0, 60));
    const PeakMemory memory;
    const auto begin = Clock::now();
    const std::string text = search<Glob>(tree, pattern);
    CHECK_FALSE(text.empty());
    CHECK(Clock::now() - begin < 5s);
    if (kMemoryIsOurs) CHECK(memory.grown() < 64 * 1024);
  }
}

TEST_CASE("search_limits: a time limit gives what was found until then, and says so") {
  SearchTools tree;
  tree.options.limits.search_timeout = 200ms;
  tree.write("a", "bx " + repeated("a", 1000) + "x\n");
  tree.write("slow", random_text("ab", 8'000'000));
  const Grep tool(tree.options);
  const auto begin = Clock::now();
  const auto result = tool.search(kSlowPattern, ".", {});
  CHECK(Clock::now() - begin < 3s);
  CHECK_FALSE(result.is_error);
  const std::string text = tree.relative(SearchTools::text_of(result));
  CHECK(text.starts_with("a:1:bx aaaa"));
  CHECK(has(text, "\n[stopped at the time limit of 0.2 s; this is what was found until then."));
}

TEST_CASE("search_limits: a stop is seen in the middle of a line") {
  SearchTools tree;
  tree.write("slow", "bx " + repeated("a", 1000) + "x\n" + random_text("ab", 8'000'000));
  const UniqueFd fd(::open((tree.root + "/slow").c_str(), O_RDONLY));
  std::stop_source stop;
  const Deadline deadline(stop.get_token(), {});
  const auto slow = LineSearch::compile(kSlowPattern).value();
  Clock::time_point stopped{};
  FileSearcher searcher;
  searcher.search(fd.get(), slow, deadline, [&](const FileHit&) {
    stop.request_stop();
    stopped = Clock::now();
  });
  REQUIRE(stop.stop_requested());
  CHECK(Clock::now() - stopped < 2s);
}

TEST_CASE("search_limits: memory doesn't grow with a directory's entries, for grep by their names") {
  SearchTools tree(SearchTools::in_memory());
  tree.write("many/.gitignore", "*.o\n");
  const std::string filler(200, 'x');
  constexpr int kFiles = 60'000;
  for (int i = 0; i < kFiles; ++i) {
    const std::string path = fmt::format("{}/many/{}{:05}", tree.root, filler, i);
    REQUIRE(UniqueFd(::open(path.c_str(), O_CREAT | O_WRONLY, 0600)));
  }
  {
    const PeakMemory memory;
    CHECK(has(search<Glob>(tree, "many/*"), fmt::format("[{} more matching files", kFiles + 1 - 200)));
    if (kMemoryIsOurs) CHECK(memory.grown() < 5 * 1024);
  }
  const PeakMemory memory;
  CHECK(search<Grep>(tree, "x") == fmt::format("(no matches in {} files)", kFiles + 1));
  if (kMemoryIsOurs) CHECK(memory.grown() < 48 * 1024);
}

TEST_CASE("search_limits: what isn't a file never makes a search wait") {
  SearchTools tree;
  tree.write("d/a", "needle\n");
  REQUIRE(::mkfifo((tree.root + "/d/fifo").c_str(), 0600) == 0);
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  REQUIRE(tree.root.size() + 10 < sizeof address.sun_path);
  std::strcpy(address.sun_path, (tree.root + "/d/socket").c_str());
  REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  CHECK(search<Grep>(tree, "needle") == "d/a:1:needle\n");
  CHECK(search<Glob>(tree, "d/*") == "d/a");
  for (const char* path : {"d/fifo", "d/socket"}) {
    CAPTURE(path);
    CHECK(has(search<Grep>(tree, "x", path), "not a regular file; use bash, with a time limit"));
    CHECK(has(search<Glob>(tree, "*", path), "not a regular file; use bash, with a time limit"));
  }
}

TEST_CASE("search_limits: devices and the files of /proc never make a search wait") {
  SearchTools tree;
  tree.options.limits.search_timeout = 20s;
  Workspace dev = Workspace::open("/dev", {}).value();
  tree.options.workspace = &dev;
  for (const char* path : {"zero", "null", "full", "random", "tty"}) {
    CAPTURE(path);
    CHECK(search<Grep>(tree, "x", path).starts_with("error: grep: "));
    CHECK(search<Glob>(tree, "*", path).starts_with("error: glob: "));
  }
  // The first never ends, of the others some block, and some take any number of reads.
  Workspace proc = Workspace::open("/proc", {}).value();
  tree.options.workspace = &proc;
  for (const char* path :
       {"self/pagemap", "self/mem", "kmsg", "kcore", "self/environ", "sys/kernel", "self/task"}) {
    CAPTURE(path);
    const std::string text = search<Grep>(tree, "no such text anywhere: \\d{9}", path);
    CHECK_FALSE(text.empty());
    CHECK_FALSE(has(text, "stopped at the time limit"));
  }
  CHECK_FALSE(has(search<Glob>(tree, "self/**"), "stopped at the time limit"));
}

TEST_CASE("search_limits: half of a deadline, and one that was cut") {
  const Deadline none;
  CHECK_FALSE(none.half().passed());
  const Deadline far({}, 1h);
  CHECK_FALSE(far.half().passed());
  const Deadline near({}, 1ns);
  while (!near.passed()) {
  }
  const Deadline rest = near.half();
  while (!rest.passed()) {
  }
  std::stop_source stop;
  const Deadline stoppable(stop.get_token(), 1h);
  const Deadline half = stoppable.half();
  stop.request_stop();
  CHECK(half.passed());
  CHECK_FALSE(far.has_cut());
  far.cut();
  CHECK(far.has_cut());
}
