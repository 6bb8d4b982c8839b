#include "tools/glob.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/as_user.hpp"
#include "tests/support/left_out.hpp"
#include "tests/support/search_tools.hpp"

using sandbox_worker::testing::SearchTools;
namespace fs = std::filesystem;

namespace {

std::string glob(const SearchTools& tree, std::string_view pattern, std::string_view path = ".") {
  const sandbox_worker::tools::Glob tool(tree.options);
  return tree.relative(SearchTools::text_of(tool.search(pattern, path, {})));
}

void touch(const SearchTools& tree, const std::string& path, std::int64_t seconds) {
  tree.write(path, "");
  const timespec times[2] = {{seconds, 0}, {seconds, 0}};
  REQUIRE(::utimensat(AT_FDCWD, (tree.root + "/" + path).c_str(), times, 0) == 0);
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("glob: newest first, ties by path, absolute") {
  SearchTools tree;
  touch(tree, "old.c", 100);
  touch(tree, "src/b.c", 200);
  touch(tree, "src/a.c", 200);
  touch(tree, "new.c", 300);
  touch(tree, "new.h", 400);
  CHECK(glob(tree, "**/*.c") == "new.c\nsrc/a.c\nsrc/b.c\nold.c");
  CHECK(glob(tree, "*.c", "src") == "src/a.c\nsrc/b.c");
  CHECK(glob(tree, "src/*.c") == "src/a.c\nsrc/b.c");
  CHECK(glob(tree, "./src/a.c") == "src/a.c");
  for (const char* pattern : {"**//a.c", "**/./a.c", "src//a.c", ".//src/././//*a.c"})
    CHECK_MESSAGE(glob(tree, pattern) == "src/a.c", pattern);
  CHECK(glob(tree, tree.root + "/src/*.c", "elsewhere") == "src/a.c\nsrc/b.c");
}

TEST_CASE("glob: files of any time, also beyond what 64 bits of nanoseconds hold") {
  SearchTools tree;
  touch(tree, "today", 1'800'000'000);
  touch(tree, "before", -3'000'000'000);
  touch(tree, "beyond", 10'000'000'000);
  CHECK(glob(tree, "*") == "beyond\ntoday\nbefore");
}

TEST_CASE("glob: what doesn't fit is counted") {
  SearchTools tree;
  for (int i = 0; i < 205; ++i) touch(tree, "f" + std::to_string(i), 1000 + i);
  const std::string text = glob(tree, "f*");
  CHECK(text.starts_with("f204\nf203\n"));
  CHECK(has(text, "\nf5\n[5 more matching files not shown"));
}

TEST_CASE("glob: ignored files are left out and counted, unless they are named") {
  SearchTools tree;
  tree.write(".gitignore", "build/\n*.log\n");
  for (const char* path : {"a.c", "build/b.c", "build/x/c.c", "node_modules/m/d.c", "e.log"})
    tree.write(path, "");
  const std::string all = glob(tree, "**/*.c");
  CHECK(all.starts_with("a.c\n[3 matching files ignored"));
  CHECK(has(glob(tree, "build/*.c"), "build/b.c"));
  CHECK(has(glob(tree, "**/*.c", "build"), "build/x/c.c"));
  CHECK(has(glob(tree, "node_modules/m/*"), "node_modules/m/d.c"));
  CHECK(glob(tree, "*.log").starts_with("(no matches)"));
}

TEST_CASE("glob: a file that is named whole is listed even if ignored, and a directory that ignores itself") {
  SearchTools tree;
  tree.write(".gitignore", "*.log\n.env\n");
  tree.write(".venv/.gitignore", "*\n");
  for (const char* path : {".env", "logs/x.log", "logs/[x].log", ".venv/lib/a.py"}) tree.write(path, "");
  CHECK(glob(tree, ".env") == ".env");
  CHECK(glob(tree, "logs/x.log") == "logs/x.log");
  CHECK(glob(tree, "x.log", "logs") == "logs/x.log");
  CHECK(glob(tree, "logs/\\[x].log") == "logs/[x].log");
  CHECK(glob(tree, ".venv/**/*.py") == ".venv/lib/a.py");
  CHECK(glob(tree, "**/*.py", ".venv") == ".venv/lib/a.py");
  const std::string none = glob(tree, "logs/*.log");
  CHECK(has(none, "[2 matching files ignored"));
  CHECK(has(none, "or the file without wildcards, to see it; or use bash: find]"));
}

TEST_CASE("glob: the rules of a named directory hold where they except names in it") {
  SearchTools tree;
  tree.write("src/.gitignore", "*\n!*.c\n");
  for (const char* path : {"src/a.c", "src/a.o", "src/sub/b.o"}) tree.write(path, "");
  CHECK(glob(tree, "src/**").starts_with("src/a.c\n[3 matching files ignored"));
  CHECK(glob(tree, "**", "src").starts_with("src/a.c\n[3 matching files ignored"));
  CHECK(glob(tree, "src/sub/*") == "src/sub/b.o");
}

TEST_CASE("glob: from below a repository or a directory with rules of its own") {
  SearchTools tree;
  for (const char* path : {"gg/.git/HEAD", "gg/src/a.c", "hh/src/a.c", "hh/src/b.c", "hh/out/x/a.c"})
    tree.write(path, "");
  tree.write("hh/.gitignore", "b.c\n/out\n");
  CHECK(glob(tree, "gg/src/*.c") == "gg/src/a.c");
  CHECK(glob(tree, "gg/.git/*") == "gg/.git/HEAD");
  CHECK(glob(tree, "*.c", "hh/src").starts_with("hh/src/a.c\n[1 matching file ignored"));
  CHECK(glob(tree, "hh/out/x/*") == "hh/out/x/a.c");
}

TEST_CASE("glob: no match, and what may help") {
  SearchTools tree;
  tree.write("src/a.c", "");
  CHECK(glob(tree, "**/*.x") == "(no matches)");
  CHECK(has(glob(tree, "a.c"), "**/a.c"));
  CHECK(glob(tree, "lib/*.c").starts_with("(no matches: "));
}

TEST_CASE("glob: a pattern that names a directory says so, and how to list its files") {
  SearchTools tree;
  const sandbox_worker::testing::TempDir other;
  const auto second = fs::canonical(other.path()).string();
  REQUIRE(tree.workspace.add_root(second));
  for (const char* path : {"src/lib/a.c", "d[1]/a"}) tree.write(path, "");
  CHECK(::symlink("src", (tree.root + "/link").c_str()) == 0);
  const auto note = [](const std::string& pattern) {
    return "(no matches)\n[" + pattern + " is a directory; " + pattern + "/** lists its files]";
  };
  for (const char* pattern : {"src", "src/lib", "link", "link/lib", "d\\[1]", "src/.", "."})
    CHECK_MESSAGE(glob(tree, pattern) == note(pattern), pattern);
  CHECK(glob(tree, "lib", "src") == note("lib"));
  CHECK(glob(tree, "./src//lib") == note("src/lib"));
  CHECK(glob(tree, tree.root + "/src", "src") == note("src"));
  CHECK(glob(tree, tree.root) == tree.relative(note(tree.root)));
  CHECK(glob(tree, tree.root, "missing") == tree.relative(note(tree.root)));
  CHECK(glob(tree, second) == note(second));
  CHECK(glob(tree, tree.root + "/**") == glob(tree, "**"));
  CHECK(glob(tree, "src/lib/**") == "src/lib/a.c");
  CHECK(glob(tree, "sr[c]").starts_with("(no matches)\n[a pattern without /"));
  CHECK(glob(tree, "src/a.c") == "(no matches)");
  fs::create_directories(tree.root + "/none/here");
  for (const char* pattern : {"**", "***"})
    CHECK_MESSAGE(glob(tree, pattern, "none") == "(no matches)", pattern);
  CHECK(glob(tree, "/etc").starts_with("error: glob: cannot open /: it is outside"));
  CHECK(glob(tree, "src", "").starts_with("error: glob: the path is empty"));
}

TEST_CASE("glob: brackets in a name that is there are told from those that stand for a character") {
  SearchTools tree;
  for (const char* path :
       {"app/[slug]/page.tsx", "app/[[...all]]/a-b.ts", "[id].tsx", "one/[ab]/x", "one/a/x"})
    tree.write(path, "");
  struct Row {
    std::string pattern;
    std::string meant;
    const char* found;
  };
  const Row rows[] = {
      {"app/[slug]/page.tsx", "app/\\[slug\\]/page.tsx", "app/[slug]/page.tsx"},
      {"app/[slug]/**/*.[jt]sx", "app/\\[slug\\]/**/*.[jt]sx", "app/[slug]/page.tsx"},
      {"app/[[...all]]/{a,b}-b.ts", "app/\\[\\[...all\\]\\]/{a,b}-b.ts", "app/[[...all]]/a-b.ts"},
      {"[id].tsx", "\\[id\\].tsx", "[id].tsx"},
      {tree.root + "/app/[slug]/*", tree.root + "/app/\\[slug\\]/*", "app/[slug]/page.tsx"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.pattern);
    CHECK(glob(tree, row.pattern) ==
          tree.relative("(no matches)\n[write " + row.meant +
                        " for that very name: [ and ] hold a choice of characters]"));
    CHECK(glob(tree, row.meant) == row.found);
  }
  CHECK(has(glob(tree, "[slug]/*", "app"), "[write \\[slug\\]/* for that very name:"));
  CHECK(glob(tree, "app/[x]/*") == "(no matches)");
  CHECK(glob(tree, "app/[slug]/page.tsx/*") == "(no matches)");
  CHECK(glob(tree, "app/*/[slug]/x") == "(no matches)");
  CHECK(glob(tree, "one/[ab]/x") == "one/a/x");
}

TEST_CASE("glob: errors") {
  SearchTools tree;
  tree.write("a", "");
  CHECK(::mkfifo((tree.root + "/fifo").c_str(), 0600) == 0);
  for (const char* pattern :
       {"", "../*", "a/../b", "{..,a}/b", "{a", "src/", "*/", "**/", "s*/./", "/etc/*", "/*"}) {
    CHECK_MESSAGE(glob(tree, pattern).starts_with("error: glob: "), pattern);
  }
  for (const char* path : {"/etc", "missing", "a", "fifo", "/dev"}) {
    CHECK_MESSAGE(glob(tree, "*", path).starts_with("error: glob: "), path);
  }
}

TEST_CASE("glob: a step .. is refused however it is written, and nothing else") {
  SearchTools tree;
  for (const char* path : {"a../x.c", "b../x.c", "..a", "..b", "src/.../x", "src/x", "build/out/x"})
    touch(tree, path, 100);
  for (const char* pattern : {"..", "src/..", "src/\\.\\./build/out/*", "\\../*", "src/.\\./build/*",
                              "{..,a}/x", "{.,a}./x", ".{,.}/x", "{a/,b}../x", "x/{a,{b,..}}/c", "{a,..}",
                              "..{/a,b}", "*/..{,/x}", "**/../x", "{src/..}/x"}) {
    CHECK_MESSAGE(
        glob(tree, pattern) == "error: glob: the pattern has a .. in it; name the directory as path",
        pattern);
  }
  CHECK(glob(tree, "{a,b}../*.c") == "a../x.c\nb../x.c");
  CHECK(glob(tree, "*../*.c") == "a../x.c\nb../x.c");
  CHECK(glob(tree, "..{a,b}") == "..a\n..b");
  CHECK(glob(tree, "..?") == "..a\n..b");
  CHECK(glob(tree, "src/.../x") == "src/.../x");
  CHECK(glob(tree, "src/{,.}.../*") == "src/.../x");
  CHECK(glob(tree, "..*/*") == "(no matches)");
}

TEST_CASE("glob: an absolute path that braces begin is refused, with what to write") {
  SearchTools tree;
  for (const char* path : {"src/a", "lib/a"}) touch(tree, path, 100);
  const std::string in_root = "{" + tree.root + "/src,";
  const std::string patterns[] = {"{/tmp/a,/etc}/*", in_root + "/etc}/*",  in_root + tree.root + "/lib}/*",
                                  "{,/etc}/*",       "{src,{/etc,lib}}/*", "{,}{,x}/etc/*",
                                  "{\\/etc,a}/*"};
  for (const auto& pattern : patterns) {
    CHECK_MESSAGE(
        glob(tree, pattern) ==
            "error: glob: the pattern has an absolute path in braces; begin with what its paths share, "
            "as in /a/{b,c}/*, or call glob for each",
        pattern);
  }
  for (const char* pattern : {"[/]etc/*", "[/]", "[\\/]{etc,usr}/*"}) {
    CHECK_MESSAGE(
        glob(tree, pattern) == "error: glob: the pattern begins with a / in brackets; write it without them",
        pattern);
  }
  CHECK(glob(tree, tree.root + "/{src,lib}/*") == "lib/a\nsrc/a");
  CHECK(glob(tree, "{src,lib}{/a,/b}") == "lib/a\nsrc/a");
  CHECK(glob(tree, "src{/a,/b}") == "src/a");
  CHECK(glob(tree, "{,src/}a").starts_with("src/a"));
  CHECK(glob(tree, "{*,x}/a") == "lib/a\nsrc/a");
}

TEST_CASE("glob: a class of characters that isn't one is an error") {
  const SearchTools tree;
  CHECK(glob(tree, "[[:foo:]]*") == "error: glob: the pattern has [:foo:], which is no class of characters");
}

TEST_CASE("glob: a name that isn't UTF-8 is shown as bash takes it") {
  SearchTools tree;
  touch(tree, "b\xE9t\xC3\xA9's", 100);
  CHECK(glob(tree, "*") == "$'b\\351t\xC3\xA9\\'s'");
}

TEST_CASE("glob: a name with a newline is one name") {
  SearchTools tree;
  touch(tree, "a\nb", 100);
  touch(tree, "c", 50);
  CHECK(glob(tree, "*") == "$'a\\nb'\nc");
}

TEST_CASE("glob: errors name the path as it was given") {
  SearchTools tree;
  tree.write("sub/a", "");
  CHECK(::mkfifo((tree.root + "/fifo").c_str(), 0600) == 0);
  const std::string missing = ": no such file or directory; check the path, e.g. with glob)";
  CHECK(glob(tree, "nodir//*") == "(no matches: cannot open nodir" + missing);
  CHECK(glob(tree, "nodir/*", "sub/") == "(no matches: cannot open sub/nodir" + missing);
  CHECK(glob(tree, "sub/a/*") == "(no matches: sub/a is a file, not a directory)");
  CHECK(glob(tree, "*", "") == "error: glob: the path is empty; name a file or directory");
  CHECK(glob(tree, "*", "fifo") ==
        "error: glob: cannot open fifo: it is a FIFO, not a regular file; use bash, "
        "with a time limit, if that is meant");
}

TEST_CASE("glob: directories that can't be read are said") {
  SearchTools tree;
  for (const char* path : {"secret/s", "open/s"}) tree.write(path, "");
  fs::permissions(tree.root, fs::perms(0755));
  fs::permissions(tree.root + "/secret", fs::perms(0700));
  const std::string note =
      "[1 directory couldn't be read, so what is below is left out; see bash: find -type d ! -readable]";
  tree.options.threads = 1;
  const sandbox_worker::testing::AsUser user;
  if (!user.ok()) {
    sandbox_worker::testing::leave_out("ROOT");
    return;
  }
  CHECK(glob(tree, "**/s") == "open/s\n" + note);
  CHECK(glob(tree, "s*/x") == "(no matches)\n" + note);
  CHECK(glob(tree, "open/*") == "open/s");
  CHECK(glob(tree, "secret/*").starts_with("error: glob: cannot open secret: permission denied"));
}

TEST_CASE("glob: where rules are too many to be kept, the answer says so") {
  SearchTools tree;
  tree.write_too_many_rules();
  const std::string note =
      "\n[the .gitignore files and the like hold over 50,000 rules or 4 MiB for one directory; the rest of "
      "these rules doesn't count here]";
  const auto found = glob(tree, "a/*");
  CHECK(has(found, "a/out-50000\n"));
  CHECK(found.ends_with(note));
}

TEST_CASE("glob: a link out of the root is not followed") {
  SearchTools tree;
  CHECK(::symlink("/etc", (tree.root + "/out").c_str()) == 0);
  CHECK(glob(tree, "**/passwd") == "(no matches)");
  CHECK(glob(tree, "out/passwd").starts_with("error: "));
}

TEST_CASE("glob: a link to a file counts as that file, other links don't") {
  SearchTools tree;
  touch(tree, "docs/agents.md", 200);
  touch(tree, "docs/other.md", 100);
  touch(tree, "between.md", 150);
  touch(tree, "dir/inside.md", 50);
  const auto link = [&](const std::string& target, const std::string& name) {
    REQUIRE(::symlink(target.c_str(), (tree.root + "/" + name).c_str()) == 0);
  };
  link("docs/agents.md", "claude.md");
  link(tree.root + "/docs/other.md", "absolute.md");
  link("claude.md", "chain.md");
  link("dir", "directory.md");
  link("missing", "dangling.md");
  link("loop.md", "loop.md");
  link("/etc/passwd", "outside.md");
  link("../../etc/passwd", "docs/above.md");
  REQUIRE(::mkfifo((tree.root + "/fifo").c_str(), 0600) == 0);
  link("fifo", "fifo.md");
  CHECK(glob(tree, "**/*.md") ==
        "chain.md\nclaude.md\ndocs/agents.md\nbetween.md\nabsolute.md\ndocs/other.md\ndir/inside.md");
  CHECK(glob(tree, "claude.md") == "claude.md");
  CHECK(glob(tree, "c*.md") == "chain.md\nclaude.md");
  tree.write(".gitignore", "c*.md\nd*.md\n");
  CHECK(has(glob(tree, "c*.md"), "(no matches)"));
  CHECK(has(glob(tree, "c*.md"), "[2 matching files ignored"));
  CHECK_FALSE(has(glob(tree, "d*.md"), "ignored"));
  CHECK(glob(tree, "claude.md") == "claude.md");
}

TEST_CASE("glob: in a workdir that was removed, and made again") {
  SearchTools tree;
  tree.write("a", "");
  fs::remove_all(tree.root);
  CHECK(has(glob(tree, "*"), "was removed"));
  tree.write("b", "");
  CHECK(glob(tree, "*") == "b");
}

TEST_CASE("glob: interrupted, it says so") {
  SearchTools tree;
  tree.write("a", "");
  std::stop_source stop;
  stop.request_stop();
  const sandbox_worker::tools::Glob tool(tree.options);
  const auto result = tool.search("*", ".", stop.get_token());
  CHECK(result.is_error);
  CHECK(has(SearchTools::text_of(result), "interrupted"));
}
