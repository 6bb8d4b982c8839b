#include "worker/log.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/temp_dir.hpp"
#include "tools/unique_fd.hpp"

using namespace sandbox_worker::worker;
using sandbox_worker::testing::TempDir;

namespace {

/// What `say` logs, by its lines. Only this thread uses stderr meanwhile.
template <class Say>
std::vector<std::string> lines_of(LogFormat format, LogLevel level, Say say) {
  const TempDir dir;
  const sandbox_worker::tools::UniqueFd before(::fcntl(2, F_DUPFD_CLOEXEC, 3));
  const auto path = dir / "log";
  {
    const sandbox_worker::tools::UniqueFd file(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    REQUIRE(::dup2(file.get(), 2) == 2);
  }
  {
    const Log log(format, level);
    say(log);
  }
  ::dup2(before.get(), 2);
  const std::string text = dir.read("log");
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

const std::string kHostile = "a\nb\r\t\"q\"\\ \x1b[2J\x7f\xff \xc3\xbc\xe2\x80\xa8";

}  // namespace

TEST_CASE("log: a field is plain, or in quotes with all escaped that could break a line") {
  struct Row {
    std::string value;
    std::string text;
  };
  const Row rows[] = {
      {"plain-1.2/x:y", "plain-1.2/x:y"},
      {"", R"("")"},
      {"two words", R"("two words")"},
      {"a=b", R"("a=b")"},
      {"a\nb", R"("a\nb")"},
      {"\"", R"("\"")"},
      {"back\\slash", R"("back\\slash")"},
      {"\x1b[2J", R"("\u001b[2J")"},
      {std::string("nul\0", 4), R"("nul\u0000")"},
      {"bad\xff", "\"bad\xef\xbf\xbd\""},
      {"\x7f", R"("\u007f")"},
      {"\xc2\x9b[2J\xc2\xa0", "\"\\u009b[2J\xc2\xa0\""},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    CHECK(format_line(LogFormat::text, "said", {{"key", row.value}}) == "said key=" + row.text);
  }
  CHECK(format_line(LogFormat::text, "said", {{"n", 5}, {"ok", true}, {"big", -(1LL << 62)}}) ==
        "said n=5 ok=true big=-4611686018427387904");
}

TEST_CASE("log: hostile bytes in message and fields leave one line, and JSON that can be read") {
  const auto text = lines_of(LogFormat::text, LogLevel::debug,
                             [](const Log& log) { log.info(kHostile, {{"field", kHostile}}); });
  REQUIRE(text.size() == 1);
  CHECK(std::ranges::none_of(text[0],
                             [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }));
  const auto json = lines_of(LogFormat::json, LogLevel::debug,
                             [](const Log& log) { log.info(kHostile, {{"field", kHostile}, {"n", 7}}); });
  REQUIRE(json.size() == 1);
  const auto line = nlohmann::json::parse(json[0], nullptr, false);
  REQUIRE(line.is_object());
  CHECK(line["message"] == line["field"]);
  CHECK(line["field"].get<std::string>().starts_with("a\nb\r\t\"q\"\\ \x1b[2J"));
  CHECK(line["n"] == 7);
  CHECK(line["level"] == "info");
}

TEST_CASE("log: a line has its time in UTC and its level by the flag's word") {
  const auto say = [](const Log& log) {
    log.debug("one");
    log.info("two");
    log.warn("three");
    log.error("four");
  };
  const auto text = lines_of(LogFormat::text, LogLevel::debug, say);
  REQUIRE(text.size() == 4);
  const std::string ends[] = {"Z debug one", "Z info  two", "Z warn  three", "Z error four"};
  for (std::size_t i = 0; i < 4; ++i) {
    CAPTURE(text[i]);
    CHECK(text[i].ends_with(ends[i]));
    CHECK(text[i].size() == std::string("2026-01-02T03:04:05.678").size() + ends[i].size());
  }
  const auto json = lines_of(LogFormat::json, LogLevel::warn, say);
  REQUIRE(json.size() == 2);
  CHECK(nlohmann::json::parse(json[0])["level"] == "warn");
  CHECK(nlohmann::json::parse(json[0])["time"].get<std::string>().ends_with("Z"));
  CHECK(nlohmann::json::parse(json[1])["level"] == "error");
}
