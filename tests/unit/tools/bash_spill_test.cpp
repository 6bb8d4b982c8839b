// Output that doesn't fit in a result: where it goes, what bounds it, who may read it.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>

#include "tests/support/bash_lane.hpp"
#include "tests/support/run_tool.hpp"
#include "tools/file_lock.hpp"
#include "tools/grep.hpp"
#include "tools/read.hpp"
#include "tools/workspace.hpp"
#include "tools/write.hpp"

using namespace sandbox_worker::tools;
using sandbox_worker::testing::BashLane;
using sandbox_worker::testing::run_tool;
using sandbox_worker::testing::text_of;

namespace {

/// The file that an answer names.
std::string spilled_to(const std::string& text) {
  std::smatch found;
  const std::regex named("output is in ([^\\]\n]+)\\]");
  return std::regex_search(text, found, named) ? found[1].str() : std::string();
}

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string numbers(int last) {
  std::string text;
  for (int i = 1; i <= last; ++i) text += std::to_string(i) + "\n";
  return text;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("bash: long output is whole in a private file, and read and grep may open it") {
  BashLane lane;
  const auto text = lane.text("seq 50000");
  const auto path = spilled_to(text);
  REQUIRE_FALSE(path.empty());
  CHECK(contains(text, "; the whole output is in "));
  CHECK((content_of(path) == numbers(50000)));
  CHECK((std::filesystem::status(path).permissions() & std::filesystem::perms::mask) ==
        (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));

  auto workspace = Workspace::open(lane.path("work"), {});
  REQUIRE(workspace);
  REQUIRE(workspace->add_root(lane.spill->directory(), Access::read_only));
  FileLocks locks;
  const FileToolOptions files{.workspace = &*workspace,
                              .locks = &locks,
                              .pool = lane.pool.get_executor(),
                              .limits = {},
                              .private_files = false};
  Read read(files);
  CHECK(contains(text_of(run_tool(read, {{"file_path", path}, {"view_range", {30000, 30001}}})),
                 "30000\n30001"));
  Grep grep(SearchOptions{.workspace = &*workspace,
                          .pool = lane.pool.get_executor(),
                          .limits = {},
                          .threads = 2,
                          .home = "",
                          .xdg_config = "",
                          .spill = nullptr});
  CHECK(text_of(run_tool(grep, {{"pattern", "^4321.$"}, {"path", path}})).find("43210") != std::string::npos);
  Write write(files);
  CHECK(text_of(run_tool(write, {{"file_path", path}, {"content", "x"}})).starts_with("error: write: "));
  CHECK((content_of(path) == numbers(50000)));
}

TEST_CASE("bash: a call's file ends at its limit, and the answer says that it is the beginning") {
  BashLane lane({.spill = {.per_file = 200'000, .in_all = 1'000'000}});
  const auto text = lane.text("seq 100000; echo the end");
  CHECK(contains(text, "; the beginning of the output is in "));
  CHECK(text.ends_with("100000\nthe end\n"));
  const auto kept = content_of(spilled_to(text));
  CHECK(kept.size() == 200'000);
  CHECK((numbers(100000).starts_with(kept)));
}

TEST_CASE("bash: the oldest files make room; all are gone at the end") {
  BashLane lane({.spill = {.per_file = 400'000, .in_all = 700'000}});
  const std::string directory = lane.spill->directory();
  std::vector<std::string> paths;
  for (int call = 0; call < 3; ++call) paths.push_back(spilled_to(lane.text("seq 55000")));  // 319 kB
  CHECK(lane.until([&] { return !std::filesystem::exists(paths[0]); }));
  CHECK((content_of(paths[1]) == numbers(55000)));
  CHECK((content_of(paths[2]) == numbers(55000)));
  lane.bash.reset();
  lane.spill.reset();
  CHECK_FALSE(std::filesystem::exists(directory));
}

TEST_CASE("bash: when nothing can be spilled the answer says what is left out all the same") {
  BashLane lane;
  std::filesystem::remove_all(lane.spill->directory());
  const auto text = lane.text("seq 50000");
  CHECK(contains(text, " characters left out]\n"));
  CHECK(text.starts_with("1\n2\n"));
  CHECK(text.ends_with("49999\n50000\n"));
}
