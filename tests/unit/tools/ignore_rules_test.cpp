#include "tools/ignore_rules.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/support/git_ignore.hpp"
#include "tests/support/search_tools.hpp"
#include "tests/support/temp_dir.hpp"
#include "tools/ignore_files.hpp"

namespace fs = std::filesystem;
using namespace sandbox_worker::tools;
using sandbox_worker::testing::ignored_by_git;
using sandbox_worker::testing::walk_with_rules;

namespace {

IgnoreRules parsed(std::string_view text) {
  IgnoreRoom room;
  return IgnoreRules::parse(text, room);
}

IgnoreDecision decide(std::string_view rules, std::string_view path, bool directory) {
  return parsed(rules).decide(path, path.substr(path.rfind('/') + 1), directory);
}

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

enum class Repository { plain, linked_directory, worktree };

void run(const std::string& command) {
  REQUIRE_MESSAGE(std::system(command.c_str()) == 0, command);
}

/// Makes `root`, which exists, a repository; gives the directory that holds its info/exclude.
fs::path make_repository(Repository kind, const fs::path& root, const fs::path& outside) {
  const fs::path git = outside / "git";
  switch (kind) {
    case Repository::plain:
      run("git init -q '" + root.string() + "'");
      return root / ".git";
    case Repository::linked_directory:  // as a submodule has it
      run("git init -q --separate-git-dir '" + git.string() + "' '" + root.string() + "'");
      return git;
    case Repository::worktree:
      run("git init -q --bare '" + git.string() + "'");
      fs::create_directories(git / "worktrees/tree");
      write(git / "worktrees/tree/HEAD", "ref: refs/heads/x\n");
      write(git / "worktrees/tree/commondir", "../..\n");
      write(git / "worktrees/tree/gitdir", (root / ".git").string() + "\n");
      write(root / ".git", "gitdir: " + (git / "worktrees/tree").string() + "\n");
      return git;
  }
  return {};
}

void compare_with_git(const fs::path& root, const fs::path& home, std::string_view rules) {
  const auto files = walk_with_rules(root, home.string());
  const auto expected = ignored_by_git(root, home, files);
  for (const auto& [path, ignored] : files) {
    CHECK_MESSAGE(ignored == (expected.count(path) == 1), path, " under\n", rules);
  }
}

// Names that no generated rule is about: whether all that is in a directory is ignored shows in them.
constexpr const char* kAnyDirectory = "\x01";
constexpr const char* kAnyFile = "\x02";

/// Compares walks that begin in each directory with what git says from the root on. Of a directory that is
/// ignored, or any name in it, git has no more to say, since it was named: which exceptions hold there is not
/// git's to know. Nor of one that takes part in saying whether it is.
void compare_from_below(const fs::path& root, const fs::path& home, std::string_view rules) {
  std::vector<std::string> directories;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    const auto path = entry.path().lexically_relative(root).string();
    if (entry.is_directory() && !path.starts_with(".git")) directories.push_back(path);
  }
  for (const auto& path : directories) write(root / path / kAnyDirectory / "file", "");
  auto asked = walk_with_rules(root, home.string());
  for (const auto& path : directories)
    for (const auto& name : {path, path + "/" + kAnyDirectory, path + "/" + kAnyFile}) asked[name] = false;
  const auto expected = ignored_by_git(root, home, asked);
  const auto by_git = [&](const std::string& path) { return expected.count(path) == 1; };
  for (const auto& from : directories) {
    const bool any_name = by_git(from + "/" + kAnyDirectory) && by_git(from + "/" + kAnyFile);
    if (by_git(from) || any_name || fs::exists(root / from / ".gitignore")) continue;
    for (const auto& [path, ignored] : walk_with_rules(root, home.string(), from))
      CHECK_MESSAGE(ignored == by_git(path), path, " from ", from, " under\n", rules);
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
      {"a\\ \\  ", "a  ", false, ignored},
      {"a\\\\ ", "a\\", false, ignored},
      {"a\\\\ ", "a\\ ", false, none},
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

TEST_CASE("ignore_rules: git agrees on generated trees, repositories, worktrees and submodules") {
  const std::vector<std::string> names = {"a", "b", "ab", "a.o", "b.c", ".x", "foobar", "a b", "bar"};
  const std::vector<std::string> pieces = {"a",    "b",  "*",  "?",   "**",  "/", "/",   "[ab]",
                                           "[!a]", "\\", ".o", "foo", "bar", " ", "*.c", "!"};
  std::mt19937 random(5);
  const auto any = [&](const auto& list) { return list[random() % list.size()]; };
  for (int round = 0; round < 60; ++round) {
    const sandbox_worker::testing::TempDir dir(sandbox_worker::testing::SearchTools::in_memory());
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
    const fs::path shared = make_repository(static_cast<Repository>(round % 3), root, dir.path());
    write(shared / "info/exclude", rules());
    write(home / ".gitconfig", "[user]\n\tname = x\n[core]\n\texcludesFile = ~/mine # so\n");
    write(home / "mine", rules());
    if (round % 2 == 0) {
      std::ofstream(shared / "config", std::ios::app) << "[core]\nexcludesfile = \"~/its own\"\n";
      write(home / "its own", rules());
    }
    compare_with_git(root, home, all_rules);
    compare_from_below(root, home, all_rules);
  }
}

TEST_CASE("ignore_rules: a .ignore file goes before git's, and counts without git too") {
  const sandbox_worker::testing::TempDir dir;
  write(dir.path() / ".ignore", "!a.o\nb\n");
  write(dir.path() / "x/.gitignore", "*.o\n");
  write(dir.path() / "x/a.o", "");
  write(dir.path() / "x/c.o", "");
  write(dir.path() / "b", "");
  auto files = walk_with_rules(dir.path());
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
  auto files = walk_with_rules(dir.path());
  CHECK_FALSE(files["in/a.o"]);
  CHECK(files["b.o"]);
  CHECK(files.count("in/.git/HEAD") == 0);
}

TEST_CASE("ignore_rules: what is called .git and is no repository changes nothing") {
  const sandbox_worker::testing::TempDir dir;
  const auto root = dir.path() / "root";
  make_repository(Repository::plain, root, dir.path());
  write(root / ".gitignore", "*.o\n");
  for (const char* path : {"empty/a.o", "words/a.o", "lost/a.o", "inner/a.o"}) write(root / path, "");
  fs::create_directories(root / "empty/.git");
  write(root / "words/.git", "hello");
  write(root / "lost/.git", "gitdir: ../nowhere\n");
  auto files = walk_with_rules(root);
  CHECK(files["empty/a.o"]);
  CHECK(files["words/a.o"]);
  CHECK(files["lost/a.o"]);
  compare_with_git(root, dir / "home", "no repository");
}

TEST_CASE("ignore_rules: rules beyond a bound are left out, which is known, and kept ones count") {
  const sandbox_worker::testing::TempDir dir;
  std::string many;
  for (int i = 0; i < 40'000; ++i) many += fmt::format("out-{}/\n", i);
  IgnoreRoom room;
  CHECK(IgnoreRules::parse(many, room).decide("out-39999", "out-39999", true) == IgnoreDecision::ignored);
  CHECK_FALSE(room.left_out);
  const auto rest = IgnoreRules::parse(many, room);
  CHECK(room.left_out);
  CHECK(rest.decide("out-9999", "out-9999", true) == IgnoreDecision::ignored);
  CHECK(rest.decide("out-10000", "out-10000", true) == IgnoreDecision::none);

  IgnoreRoom narrow{.rules = 10, .bytes = 5};
  CHECK(IgnoreRules::parse("# a comment\n\nabc\nde\nf\n", narrow).decide("de", "de", false) ==
        IgnoreDecision::ignored);
  CHECK(narrow.left_out);

  // Of a larger file the beginning counts, and no part of a line.
  write(dir.path() / "a/.gitignore", std::string("first\n") + std::string(4 << 20, '#') + "\n");
  write(dir.path() / "b/.gitignore", "cut\n" + std::string((4 << 20) - 10, '\n') + "cut-here-more\n");
  for (const char* path : {"a/first", "b/cut-", "b/cut", "b/c"}) write(dir.path() / path, "");
  auto files = walk_with_rules(dir.path());
  CHECK(files["a/first"]);
  CHECK(files["b/cut"]);
  CHECK_FALSE(files["b/cut-"]);
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
    return read_outer_scope((dir.path() / name).string(), UserExcludes{}, open_dir);
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

TEST_CASE("ignore_rules: whether all that is in a directory is ignored") {
  struct Row {
    const char* rules;
    const char* directory;
    IgnoreDecision expected;  // included: some of it is
  };
  constexpr auto none = IgnoreDecision::none;
  constexpr auto ignored = IgnoreDecision::ignored;
  constexpr auto included = IgnoreDecision::included;
  const Row rows[] = {
      {"*", "", ignored},
      {"*", "a/b/", ignored},
      {"**", "", ignored},
      {"/*", "", ignored},
      {"/*", "a/", none},
      {"/**", "a/", ignored},
      {"**/*", "", ignored},
      {"**/*", "a/b/", ignored},
      {"a/*", "a/", ignored},
      {"a/*", "", none},
      {"a/*", "a/b/", none},
      {"a/**", "a/b/", ignored},
      {"?/*", "a/", ignored},
      {"a", "a/", none},
      {"*/", "", none},
      {"?", "", none},
      {"[!a]*", "", none},
      {"*.*", "", none},
      {"\\*", "", none},
      {"*\n!*.c", "", included},
      {"*\n!*.c", "a/", included},
      {"*\n!*/", "", included},
      {"*\n!keep", "", included},
      {"*\n!/keep", "", included},
      {"*\n!/keep", "a/", ignored},
      {"*\n!a/keep", "", ignored},
      {"*\n!a/keep", "a/", included},
      {"*\n!**/keep", "a/", included},
      {"*\n!a/**", "a/b/", included},
      {"*\n!b/*", "a/", ignored},
      {"!*.c\n*", "", ignored},
      {"*\n!*.c\n/*", "", ignored},
      {"/*\n!*.c", "", included},
      {"/*\n!/a.c", "", included},
      {"**/*\n!*.c", "a/", included},
      {"/**\n!*.c", "a/", included},
      {"a/**\n!*.c", "a/", ignored},
      {"a/**\n!a/*.c", "a/", included},
      {"a/*\n!**/*.c", "a/", ignored},
      {"a/*\n!**/a/*.c", "a/", included},
      {"*\n!*.c\na/*", "a/", ignored},
      {"*\na/*\n!*.c", "a/", ignored},
      {"*\na/*\n!*.c", "", included},
      {"logs/*\n.env*\n!.env.example", "logs/", ignored},
      {"/logs/*\n!*.md", "logs/", ignored},
      {"!.env", ".venv/", none},
      {"*.o\n!a.o", "", none},
      {"a\n!a/b", "a/", none},
      {"*\n!.gitignore", "", ignored},
      {"*\n!/.gitignore\n!.ignore", "", ignored},
      {"a/*\n!a/.gitkeep", "a/", ignored},
      {"*\n!.keep\n!.gitignore\n!b", "", included},
      {"*\n!.git*", "", included},
      {"", "", none},
  };
  for (const auto& row : rows) {
    CAPTURE(row.rules);
    CAPTURE(row.directory);
    CHECK(parsed(row.rules).decide_all_in(row.directory) == row.expected);
  }
}

TEST_CASE("ignore_rules: what holds in a directory below several levels of rules") {
  struct Row {
    const char* from;
    std::set<std::string> searched;  // names of the files that are not ignored
  };
  const sandbox_worker::testing::TempDir dir;
  // The directory in the middle is a repository, and the one above ignores it.
  write(dir.path() / ".gitignore", "/in\n*.top\n/only/*\n!/only/kept/\n/some/*\n!/some/*.o\n");
  write(dir.path() / "in/.git/HEAD", "");
  write(dir.path() / "in/.gitignore", "*.o\n/out\n");
  write(dir.path() / "in/out/.gitignore", "*.low\n");
  write(dir.path() / "in/src/.ignore", "*.tmp\n");
  for (const char* where :
       {"in/src/deep", "in/out/deep", "in/.git", "only/a", "only/kept", "mid/src", "some"})
    for (const char* name : {"a", "a.o", "a.top", "a.low", "a.tmp"}) write(dir.path() / where / name, "");
  write(dir.path() / "mid/.gitignore", "*.o\n!a.top\n");
  const Row rows[] = {
      {"in/src", {"deep/a", "deep/a.top", "deep/a.low", ".ignore"}},
      {"in/src/deep", {"a", "a.top", "a.low"}},
      {"in/out", {"deep/a", "deep/a.o", "deep/a.top", "deep/a.tmp", ".gitignore"}},
      {"in/out/deep", {"a", "a.o", "a.top", "a.tmp"}},
      {"in/.git", {"a", "a.top", "a.low", "a.tmp", "HEAD"}},
      {"only/a", {"a", "a.o", "a.top", "a.low", "a.tmp"}},
      {"only/kept", {"a", "a.o", "a.low", "a.tmp"}},
      {"only", {"kept/a", "kept/a.o", "kept/a.low", "kept/a.tmp"}},
      {"some", {"a.o"}},
      {"mid/src", {"a", "a.top", "a.low", "a.tmp"}},
  };
  for (const auto& row : rows) {
    CAPTURE(row.from);
    std::set<std::string> searched;
    for (const auto& [path, ignored] : walk_with_rules(dir.path(), "", row.from))
      if (!ignored) searched.insert(path.substr(std::string(row.from).size() + 1));
    CHECK(searched == row.searched);
  }
}

TEST_CASE("ignore_rules: where all but some names are ignored, a directory below is no named exception") {
  const sandbox_worker::testing::TempDir dir;
  write(dir.path() / ".gitignore", "*\n!*/\n!*.c\n");
  for (const char* name : {"src/a.c", "src/a.o"}) write(dir.path() / name, "");
  auto files = walk_with_rules(dir.path(), "", "src");
  CHECK_FALSE(files["src/a.c"]);
  CHECK(files["src/a.o"]);
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
      {"[core]\nexcludesfile =\n", ""},
      {"[include]\npath = more\n", "in more"},
      {"[include]\npath = more\n[core]\nexcludesfile = /a\n", "/a"},
      {"[core]\nexcludesfile = /a\n[include]\npath = more\n", "in more"},
      {"[core]\nexcludesfile = re\\\nlex\n", "relex"},
      {"[core]\nexcludesfile = \\\r\n  a \\\n \" b \\\nc\" \\\n", "a   b c "},
      {"[core]\nexcludesfile = /a # \\\nexcludesfile = /b\n", "/b"},
      {"# \\\n[core] # = \\\nexcludesfile = \"/a \\\"b\\\\c\\td\" ", "/a \"b\\c\td"},
      {"[other]\nv = a \\\n[core] \\\nexcludesfile = /a\n", nullptr},
      {"[core]\nexcludesfile\nother = /a\n[core", nullptr},
      {"[core]\nexcludesfile = /a\\", "/a"},
      {"[includeIf \"gitdir:/x\"]\npath = more\n", nullptr},
      {"", nullptr},
  };
  for (const auto& row : rows) {
    CAPTURE(row.configuration);
    const auto found = excludes_file_of(row.configuration, [](std::string path) { return "in " + path; });
    CHECK(found.has_value() == (row.expected != nullptr));
    if (found && row.expected) CHECK(*found == row.expected);
  }
}

TEST_CASE("ignore_rules: git agrees on where a relative core.excludesFile is") {
  const sandbox_worker::testing::TempDir dir;
  const fs::path root = dir.path() / "tree";
  const fs::path home = dir.path() / "home";
  for (const char* path : {"top", "home", "low", "sub/top", "sub/home", "sub/low"}) write(root / path, "");
  write(root / "relex", "top\n");
  write(root / "sub/relex", "low\n");
  write(home / "relex", "home\n");
  make_repository(Repository::plain, root, dir.path());
  write(home / ".gitconfig", "[core]\n\texcludesFile = re\\\nlex\n");
  compare_with_git(root, home, "the user's");
  compare_from_below(root, home, "the user's");
  CHECK(walk_with_rules(root, home.string())["sub/top"]);
  write(home / ".gitconfig", "[include]\n\tpath = in/more\n");
  write(home / "in/more", "[core]\n\texcludesFile = sub/relex\n");
  compare_with_git(root, home, "included");
  CHECK(walk_with_rules(root, home.string())["sub/low"]);
  std::ofstream(root / ".git/config", std::ios::app) << "[core]\nexcludesfile =\n";
  compare_with_git(root, home, "none");
  CHECK_FALSE(walk_with_rules(root, home.string())["sub/low"]);
}

TEST_CASE("ignore_rules: which of the user's files counts") {
  const sandbox_worker::testing::TempDir dir;
  write(dir / "system", "[core]\nexcludesfile = " + (dir / "of-system") + "\n");
  for (const char* name : {"of-system", "home/own", "home/.config/git/ignore", "xdg/git/ignore", "home/more"})
    write(dir.path() / name, fs::path(name).filename().string() + "-of-" + name[0]);
  const auto ignores = [&](const GitConfiguration& configuration, std::string_view name) {
    const auto user = read_user_excludes(configuration);
    return user.rules && user.rules->decide(name, name, false) == IgnoreDecision::ignored;
  };
  const std::string home = dir / "home";
  CHECK(ignores({.home = home, .xdg_config = "", .system = ""}, "ignore-of-h"));
  CHECK(ignores({.home = home, .xdg_config = dir / "xdg", .system = ""}, "ignore-of-x"));
  CHECK(ignores({.home = home, .xdg_config = "", .system = dir / "system"}, "of-system-of-o"));
  CHECK_FALSE(ignores({.home = "", .xdg_config = "", .system = ""}, "ignore-of-h"));
  write(dir.path() / "home/.gitconfig", "[include]\npath = included\n");
  write(dir.path() / "home/included", "[core]\nexcludesfile = ~/more\n[include]\npath = ~/included\n");
  CHECK(ignores({.home = home, .xdg_config = "", .system = dir / "system"}, "more-of-h"));
  write(dir.path() / "home/.gitconfig", "[core]\nexcludesfile = ~/own\n");
  CHECK(ignores({.home = home, .xdg_config = dir / "xdg", .system = dir / "system"}, "own-of-h"));
}

TEST_CASE("ignore_rules: the user's rules are relative to each repository") {
  const sandbox_worker::testing::TempDir dir;
  write(dir.path() / "home/.config/git/ignore", "/out\n");
  for (const char* path : {"t/out", "t/in/out", "t/in/x/out", "t/y/out", "t/in/.git/HEAD"})
    write(dir.path() / path, "");
  auto files = walk_with_rules(dir.path() / "t", dir / "home");
  CHECK(files["out"]);
  CHECK(files["in/out"]);
  CHECK_FALSE(files["in/x/out"]);
  CHECK_FALSE(files["y/out"]);
}

TEST_CASE("ignore_rules: what stands in git's place and is no file of its own makes nothing wait") {
  const sandbox_worker::testing::TempDir dir;
  write(dir.path() / "a", "");
  fs::create_directories(dir.path() / ".git/info");
  for (const char* name : {".gitignore", ".ignore", ".git/info/exclude", ".git/config", ".git/commondir"})
    REQUIRE(::mkfifo((dir / name).c_str(), 0600) == 0);
  CHECK(walk_with_rules(dir.path(), "/dev/null").count("a") == 1);
  fs::remove_all(dir.path() / ".git");
  REQUIRE(::mkfifo((dir / ".git").c_str(), 0600) == 0);
  CHECK(walk_with_rules(dir.path()).count("a") == 1);
  fs::remove(dir.path() / ".git");
  write(dir.path() / ".git", "gitdir: .git\n");
  CHECK(walk_with_rules(dir.path()).count("a") == 1);
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
