#include "tools/ignore_rules.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/support/temp_dir.hpp"
#include "tools/ignore_files.hpp"
#include "tools/walk.hpp"

namespace fs = std::filesystem;
using namespace sandbox_worker::tools;

namespace {

IgnoreDecision decide(std::string_view rules, std::string_view path, bool directory) {
  return IgnoreRules::parse(rules).decide(path, path.substr(path.rfind('/') + 1), directory);
}

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

/// Notes every file of a walk and whether it is ignored.
class Recorder final : public WalkVisitor {
 public:
  explicit Recorder(std::map<std::string, bool>& files) : files_(files) {}
  void enter(std::string_view path, int, bool) override { path_ = path; }
  bool wants(std::string_view, bool) override { return true; }
  void file(std::string_view name, bool ignored) override { files_[path_ + std::string(name)] = ignored; }

 private:
  std::map<std::string, bool>& files_;
  std::string path_;
};

std::map<std::string, bool> walked(const fs::path& root, const std::string& home = "") {
  std::map<std::string, bool> files;
  const Deadline deadline;
  const UniqueFd fd(::open(root.c_str(), O_RDONLY | O_DIRECTORY));
  auto outer =
      read_outer_scope(root.string(), read_global_rules(home, ""), [](const auto&) { return UniqueFd(); });
  Walk walk({.root = fd.get(), .outer = std::move(outer), .pool = {}, .threads = 1}, deadline);
  const auto make = [&] { return std::make_unique<Recorder>(files); };
  walk.run(make);
  CHECK(walk.run_ignored(make, 1'000'000));
  return files;
}

// What git itself says about all files below `root`.
std::set<std::string> ignored_by_git(const fs::path& root, const fs::path& home,
                                     const std::map<std::string, bool>& files) {
  const fs::path list = home / "list";
  {
    std::ofstream out(list, std::ios::binary);
    for (const auto& [path, ignored] : files) out << path << '\0';
  }
  const std::string command = "cd '" + root.string() + "' && HOME='" + home.string() +
                              "' GIT_CONFIG_NOSYSTEM=1 git check-ignore --no-index -z --stdin <'" +
                              list.string() + "'";
  FILE* const pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::set<std::string> ignored;
  std::string path;
  for (int c = 0; (c = std::fgetc(pipe)) != EOF;) {
    if (c != 0) {
      path += static_cast<char>(c);
    } else {
      ignored.insert(std::exchange(path, {}));
    }
  }
  ::pclose(pipe);
  return ignored;
}

void compare_with_git(const fs::path& root, const fs::path& home, std::string_view rules) {
  const auto files = walked(root, home.string());
  const auto expected = ignored_by_git(root, home, files);
  for (const auto& [path, ignored] : files) {
    CHECK_MESSAGE(ignored == (expected.count(path) == 1), path, " under\n", rules);
  }
}

}  // namespace

TEST_CASE("ignore_rules: one file") {
  constexpr auto none = IgnoreDecision::none;
  constexpr auto ignored = IgnoreDecision::ignored;
  constexpr auto included = IgnoreDecision::included;
  struct Row {
    const char* rules;
    const char* path;
    bool directory;
    IgnoreDecision expected;
  };
  const Row rows[] = {
      {"*.o", "a.o", false, ignored},
      {"*.o", "x/a.o", false, ignored},
      {"*.o\n!a.o", "a.o", false, included},
      {"!a.o\n*.o", "a.o", false, ignored},
      {"/a", "a", false, ignored},
      {"/a", "x/a", false, none},
      {"a/b", "a/b", false, ignored},
      {"a/b", "x/a/b", false, none},
      {"a/", "a", false, none},
      {"a/", "a", true, ignored},
      {"a/", "x/a", true, ignored},
      {"**/a/b", "x/y/a/b", false, ignored},
      {"a/**", "a/x/y", false, ignored},
      {"a/**", "a", true, none},
      {"a/**/b", "a/b", false, ignored},
      {"# a", "# a", false, none},
      {"\\#a", "#a", false, ignored},
      {"\\!a", "!a", false, ignored},
      {"a  ", "a", false, ignored},
      {"a\\ ", "a ", false, ignored},
      {"a\r", "a", false, ignored},
      {"[a-c]x", "bx", false, ignored},
      {"[!a-c]x", "bx", false, none},
      {"[", "[", false, none},
      {"a\\", "a\\", false, none},
      {"[[:digit:]]", "5", false, ignored},
      {"\xEF\xBB\xBF"
       "a",
       "a", false, ignored},
      {"*", ".a", false, ignored},
      {"*.tar.gz", "x.tar.gz", false, ignored},
      {"", "a", false, none},
      {"/", "a", true, none},
      {"*~", "a~", false, ignored},
      {"?", "/", false, none},
  };
  for (const auto& row : rows) {
    CAPTURE(row.rules);
    CAPTURE(row.path);
    CHECK(decide(row.rules, row.path, row.directory) == row.expected);
  }
}

TEST_CASE("ignore_rules: git agrees on generated trees") {
  const std::vector<std::string> names = {"a", "b", "ab", "a.o", "b.c", ".x", "foobar", "a b", "bar"};
  const std::vector<std::string> pieces = {"a",    "b",  "*",  "?",   "**",  "/", "/",   "[ab]",
                                           "[!a]", "\\", ".o", "foo", "bar", " ", "*.c", "!"};
  std::mt19937 random(5);
  const auto any = [&](const auto& list) { return list[random() % list.size()]; };
  for (int round = 0; round < 40; ++round) {
    const sandbox_worker::testing::TempDir dir;
    const fs::path root = dir.path() / "tree";
    const fs::path home = dir.path() / "home";
    fs::create_directories(home);
    std::string all_rules;
    const auto rules = [&] {
      std::string text;
      for (std::size_t i = 0, count = 1 + random() % 6; i < count; ++i) {
        if (random() % 4 == 0) text += '!';
        for (std::size_t j = 0, length = 1 + random() % 5; j < length; ++j) text += any(pieces);
        text += '\n';
      }
      all_rules += text + "--\n";
      return text;
    };
    for (int i = 0; i < 40; ++i) {
      fs::path path = root;
      for (std::size_t j = 0, depth = random() % 4; j < depth; ++j) path /= any(names) + ".d";
      fs::create_directories(path);
      write(path / any(names), "");
      if (random() % 8 == 0) write(path / ".gitignore", rules());
    }
    write(root / ".gitignore", rules());
    CHECK(std::system(("git init -q '" + root.string() + "'").c_str()) == 0);
    write(root / ".git/info/exclude", rules());
    write(home / ".gitconfig", "[user]\n\tname = x\n[core]\n\texcludesFile = ~/mine # so\n");
    write(home / "mine", rules());
    compare_with_git(root, home, all_rules);
  }
}

TEST_CASE("ignore_rules: a .ignore file goes before git's, and counts without git too") {
  const sandbox_worker::testing::TempDir dir;
  write(dir.path() / ".ignore", "!a.o\nb\n");
  write(dir.path() / "x/.gitignore", "*.o\n");
  write(dir.path() / "x/a.o", "");
  write(dir.path() / "x/c.o", "");
  write(dir.path() / "b", "");
  auto files = walked(dir.path());
  CHECK_FALSE(files["x/a.o"]);
  CHECK(files["x/c.o"]);
  CHECK(files["b"]);
}

TEST_CASE("ignore_rules: a repository inside another starts afresh") {
  const sandbox_worker::testing::TempDir dir;
  write(dir.path() / ".gitignore", "*.o\n");
  write(dir.path() / "in/.git/HEAD", "");
  write(dir.path() / "in/a.o", "");
  write(dir.path() / "b.o", "");
  auto files = walked(dir.path());
  CHECK_FALSE(files["in/a.o"]);
  CHECK(files["b.o"]);
  CHECK(files.count("in/.git/HEAD") == 0);
}

TEST_CASE("ignore_rules: a directory that was named is searched, whatever the rules above it say") {
  const sandbox_worker::testing::TempDir dir;
  write(dir.path() / ".gitignore", "/build\n/dist/*\n*.o\n");
  for (const char* path : {"build/a", "dist/a", "src/a", "src/a.o"}) write(dir.path() / path, "");
  const auto open_dir = [&](const std::string& path) {
    return path.starts_with(dir.path().string()) ? UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY))
                                                 : UniqueFd();
  };
  const auto scope_of = [&](const char* name) {
    return read_outer_scope((dir.path() / name).string(), nullptr, open_dir);
  };
  for (const char* name : {"build", "dist"}) {
    const auto outer = scope_of(name);
    CHECK_FALSE(is_ignored(outer.scope.get(), outer.prefix + "a", "a", false));
  }
  const auto outer = scope_of("src");
  CHECK(outer.prefix == "src/");
  CHECK_FALSE(is_ignored(outer.scope.get(), "src/a", "a", false));
  CHECK(is_ignored(outer.scope.get(), "src/a.o", "a.o", false));
}

TEST_CASE("ignore_rules: core.excludesFile in git's configuration") {
  struct Row {
    const char* configuration;
    const char* expected;  // null: none
  };
  const Row rows[] = {
      {"[core]\nexcludesFile = /a\n", "/a"},
      {"[CORE]\n\tExcludesfile=\"/a b\" ; c\n", "/a b"},
      {"[core] excludesfile = /a\n[core]\nexcludesfile = /b\n", "/b"},
      {"[other]\nexcludesfile = /a\n", nullptr},
      {"[core \"x\"]\nexcludesfile = /a\n", nullptr},
      {"", nullptr},
  };
  for (const auto& row : rows) {
    CAPTURE(row.configuration);
    const auto found = excludes_file_of(row.configuration);
    CHECK(found.has_value() == (row.expected != nullptr));
    if (found && row.expected) CHECK(*found == row.expected);
  }
}

TEST_CASE("ignore_rules: hostile patterns end") {
  std::string stars;
  std::string deep;
  for (int i = 0; i < 1000; ++i) stars += "*a";
  for (int i = 0; i < 500; ++i) deep += "**/a*/";
  std::string path;
  for (int i = 0; i < 1000; ++i) path += "aa/";
  CHECK(decide(stars + "b", std::string(255, 'a'), false) == IgnoreDecision::none);
  CHECK(decide(deep + "b", path + "a", false) == IgnoreDecision::none);
  CHECK(decide(std::string(100'000, '*'), "a", false) == IgnoreDecision::none);
}
