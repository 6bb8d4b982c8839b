#include "tools/grep.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <nlohmann/json.hpp>
#include <random>

#include "tests/support/as_user.hpp"
#include "tests/support/left_out.hpp"
#include "tests/support/search_tools.hpp"
#include "tools/grep_report.hpp"
#include "tools/grep_search.hpp"
#include "tools/search_notes.hpp"

using namespace sandbox_worker::tools;
using sandbox_worker::testing::SearchTools;
namespace fs = std::filesystem;

namespace {

std::string grep(const SearchTools& tree, std::string_view pattern, std::string_view path = ".") {
  const Grep tool(tree.options);
  return tree.relative(SearchTools::text_of(tool.search(pattern, path, {})));
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string utf16(std::string_view ascii, bool little) {
  std::string out = little ? "\xFF\xFE" : "\xFE\xFF";
  for (const char c : ascii) out += little ? std::string{c, '\0'} : std::string{'\0', c};
  return out;
}

}  // namespace

TEST_CASE("grep: path, line and text, in the order of the paths") {
  SearchTools tree;
  tree.write("b.c", "one\ntwo foo\n");
  tree.write("a/z.c", "foo\r\nx\nfoo");
  tree.write("a.c", "foo\n");
  CHECK(grep(tree, "foo") == "a.c:1:foo\na/z.c:1:foo\na/z.c:3:foo\nb.c:2:two foo\n");
  CHECK(grep(tree, "foo$", "a") == "a/z.c:1:foo\na/z.c:3:foo\n");
  CHECK(grep(tree, "tw[o]", "b.c") == "b.c:2:two foo\n");
  CHECK(grep(tree, "foo", tree.root + "/b.c") == "b.c:2:two foo\n");
}

TEST_CASE("grep: the same answer each time, from many files on many threads") {
  SearchTools tree;
  std::string expected;
  for (int i = 0; i < 500; ++i) {
    const std::string path = fmt::format("d{:02}/f{:03}", i / 20, i);
    tree.write(path, "x\nneedle " + std::to_string(i) + "\n");
    expected += fmt::format("{}:2:needle {}\n", path, i);
  }
  for (int round = 0; round < 5; ++round) CHECK(grep(tree, "needle") == expected);
}

TEST_CASE("grep: kinds of files") {
  SearchTools tree;
  tree.write("binary", std::string("foo\0bar", 7));
  tree.write("latin", "caf\xE9 foo\n");
  tree.write("bom",
             "\xEF\xBB\xBF"
             "foo\n");
  tree.write("little", utf16("a\r\nfoo\r\n", true));
  tree.write("big", utf16("foo", false));
  tree.write("empty", "");
  CHECK(grep(tree, "^foo") == "big:1:foo\nbom:1:foo\nlittle:2:foo\n");
  CHECK(grep(tree, "caf. foo") == "latin:1:caf\xEF\xBF\xBD foo\n");
  CHECK(grep(tree, "bar") == "(no matches in 5 files)\n[1 binary file not searched]");
  CHECK(grep(tree, "foo", "binary") == "(no matches: the file is binary)");
}

TEST_CASE("grep: binary files are counted only when nothing else matched") {
  SearchTools tree;
  tree.write("binary", std::string("needle\0", 7));
  tree.write("late", std::string(8192, 'x') + std::string("\nneedle\0\n", 9));
  CHECK(has(grep(tree, "needle"), "late:2:needle"));
  CHECK_FALSE(has(grep(tree, "needle"), "binary"));
  CHECK(has(grep(tree, "nothing"), "[1 binary file not searched]"));
}

TEST_CASE("grep: UTF-16, with what is beyond its first plane and what is broken") {
  SearchTools tree;
  const std::string mark = "\xFF\xFE";
  tree.write("pair", mark + std::string("\x3D\xD8\x00\xDE"
                                        "a\0",
                                        6));
  tree.write("lone", mark + std::string("\x3D\xD8"
                                        "a\0",
                                        4));
  tree.write("odd", mark + std::string("a\0b", 3));
  CHECK(grep(tree, "^.a$") ==
        "lone:1:\xEF\xBF\xBD"
        "a\npair:1:\xF0\x9F\x98\x80"
        "a\n");
  CHECK(grep(tree, "^a$") == "odd:1:a\n");
}

TEST_CASE("grep: UTF-16 files and lines of any size") {
  SearchTools tree;
  const std::string x(9 << 20, 'x');
  tree.write("line", utf16("h\n" + x + "\nneedle at the end\n", true));
  std::string lines;
  while (lines.size() < 3 << 20) lines += "hay\n";
  tree.write("lines", utf16(lines + "needle\r\n", false));
  CHECK(grep(tree, "needle") ==
        fmt::format("line:3:needle at the end\nlines:{}:needle\n", lines.size() / 4 + 1));
  CHECK(has(grep(tree, "x\\nneedle", "line"), "line:3:needle at the end\n"));
}

TEST_CASE("grep: ignored files are counted when nothing was found, and searched when named") {
  SearchTools tree;
  tree.write(".gitignore", "build/\n*.log\n");
  tree.write("build/a", "needle\n");
  tree.write("node_modules/m/b", "needle\n");
  tree.write("c.log", "needle\n");
  tree.write("d", "hay\n");
  const std::string none = grep(tree, "needle");
  CHECK(none.starts_with("(no matches in 2 files)"));
  CHECK(has(none,
            "[3 files ignored by .gitignore and the like, or in node_modules, not searched; name the "
            "ignored file or directory itself as path to search it]"));
  CHECK_FALSE(has(grep(tree, "hay"), "ignored"));
  CHECK(grep(tree, "needle", "build") == "build/a:1:needle\n");
  CHECK(grep(tree, "needle", "c.log") == "c.log:1:needle\n");
  CHECK(grep(tree, "needle", "node_modules/m") == "node_modules/m/b:1:needle\n");
}

TEST_CASE(
    "grep: a named directory is searched even if it ignores itself, but not if it is just the workdir") {
  SearchTools tree;
  tree.write(".venv/.gitignore", "# made by a tool\n*\n!.gitignore\n");
  tree.write(".venv/lib/api.py", "needle\n");
  CHECK(has(grep(tree, "needle"), "[1 file ignored"));
  CHECK(grep(tree, "needle", ".venv") == ".venv/lib/api.py:1:needle\n");
  CHECK(grep(tree, "needle", ".venv/lib") == ".venv/lib/api.py:1:needle\n");
  tree.write(".gitignore", "*\n");
  CHECK(grep(tree, "needle").starts_with("(no matches in 0 files)"));
  CHECK(grep(tree, "needle", tree.root).starts_with("(no matches in 0 files)"));
}

TEST_CASE("grep: the rules of a named directory hold where they except names in it") {
  SearchTools tree;
  for (const char* path : {"src/a.c", "src/a.o", "src/sub/b.o", "logs/x.log"}) tree.write(path, "needle\n");
  tree.write("src/.gitignore", "*\n!*.c\n!.gitignore\n");
  CHECK(grep(tree, "needle", "src") == "src/a.c:1:needle\n");
  CHECK(grep(tree, "needle", "src/sub") == "src/sub/b.o:1:needle\n");
  tree.write("src/.gitignore", "*\n!*/\n!.gitignore\n");
  CHECK(has(grep(tree, "needle", "src"), "(no matches in 1 file)\n[3 files ignored"));
  tree.write(".gitignore", "logs/*\n!logs/.gitkeep\n");
  CHECK(grep(tree, "needle", "logs") == "logs/x.log:1:needle\n");
  tree.write(".gitignore", "logs/*\n!logs/*.txt\n");
  CHECK(has(grep(tree, "needle", "logs"), "[1 file ignored"));
}

TEST_CASE("grep: exceptions that are not about a named directory don't keep it from being searched") {
  struct Row {
    const char* file;
    const char* rules;
    const char* from;
    const char* expected;
  };
  const Row rows[] = {
      {".gitignore", "logs/*\n.env*\n!.env.example\n", "logs", "logs/x.log:1:needle\n"},
      {".gitignore", "/logs/*\n!*.md\n", "logs", "logs/x.log:1:needle\n"},
      {".ignore", "!.env\n", ".venv", ".venv/lib/api.py:1:needle\n"},
  };
  for (const auto& row : rows) {
    SearchTools tree;
    tree.write(".venv/.gitignore", "*\n");
    for (const char* path : {".venv/lib/api.py", "logs/x.log"}) tree.write(path, "needle\n");
    tree.write(row.file, row.rules);
    CHECK_MESSAGE(grep(tree, "needle", row.from) == row.expected, row.rules);
  }
}

TEST_CASE("grep: from below a repository or a directory with rules of its own") {
  SearchTools tree;
  tree.write("gg/.git/HEAD", "needle\n");
  tree.write("gg/src/a", "needle\n");
  tree.write("hh/.gitignore", "*.o\n/out\n");
  for (const char* path : {"hh/src/a", "hh/src/a.o", "hh/out/x/a"}) tree.write(path, "needle\n");
  CHECK(grep(tree, "needle", "gg/src") == "gg/src/a:1:needle\n");
  CHECK(grep(tree, "needle", "gg/.git") == "gg/.git/HEAD:1:needle\n");
  CHECK(grep(tree, "needle", "hh/src") == "hh/src/a:1:needle\n");
  CHECK(grep(tree, "needle", "hh/out/x") == "hh/out/x/a:1:needle\n");
}

TEST_CASE("grep: a long line is cut around the match and hides no other") {
  SearchTools tree;
  tree.write("min.js", std::string(50'000, 'x') + "needle" + std::string(50'000, 'y') + "\nneedle 2\n");
  const std::string text = grep(tree, "needle");
  CHECK(has(text, "xneedley"));
  CHECK(has(text, "bytes cut]"));
  CHECK(has(text, "\nmin.js:2:needle 2\n"));
  CHECK(text.size() < 2200);
}

TEST_CASE("grep: of a long line, the further matches are counted") {
  SearchTools tree;
  std::string line = "needle";
  for (int i = 0; i < 12; ++i) line += std::string(1000, 'x') + "needle";
  tree.write("twelve", line);
  tree.write("one", std::string(5000, 'x') + "needle" + std::string(5000, 'y'));
  std::string many;
  for (int i = 0; i < 5000; ++i) many += "needle ";
  tree.write("many", many);
  CHECK(has(grep(tree, "needle", "twelve"), "…[10078 bytes cut; 12 more matches in this line]"));
  CHECK(has(grep(tree, "n[e]+dle", "twelve"), "…[10078 bytes cut; 12 more matches in this line]"));
  CHECK(has(grep(tree, "needle", "one"), "y…[3672 bytes cut]"));
  CHECK(has(grep(tree, "needle", "many"), "at least 100 more matches in this line]"));
  CHECK(has(grep(tree, "$", "twelve"), "needle\n"));
  CHECK(has(grep(tree, "", "twelve"), "at least 100 more matches in this line]"));
}

TEST_CASE("grep: the carriage return of a long line is no match and isn't counted") {
  SearchTools tree;
  const std::string x(3000, 'x');
  tree.write("blank", x + " " + x + "\r\n");
  const std::string text = grep(tree, "\\s", "blank");
  CHECK(text.starts_with("blank:1:"));
  CHECK_FALSE(has(text, "more match"));
  tree.write("huge", std::string(1'200'000, 'x') + ";\r\nq;\r\n");
  CHECK(grep(tree, "[^;]$", "huge").starts_with("(no matches"));
  CHECK(has(grep(tree, "[^x]$", "huge"), ":2:q;"));
  CHECK(has(grep(tree, "x;$", "huge"), ":1:"));
}

TEST_CASE("grep: in long lines, what stands at the edge of a line and what is far from it") {
  SearchTools tree;
  const std::string x(700'000, 'x');
  tree.write("a", x + "needle" + x + "end\nend\n");
  // Large enough that the automaton gets the line in pieces.
  const std::string many = "(?:\\pL{3}\\pL{3}|q)";
  CHECK(has(grep(tree, many + "{2}end$"), "a:1:"));
  CHECK(grep(tree, "^end" + many + "?").starts_with("a:2:end\n"));
  CHECK(grep(tree, "\\bend" + many + "?").starts_with("a:2:end\n"));
  CHECK(has(grep(tree, "xxn" + many + "xx"), "needlexx"));
  CHECK(grep(tree, "^" + many + "?needle").starts_with("(no matches"));
  CHECK(grep(tree, "xn" + many + "?e$").starts_with("(no matches"));
}

TEST_CASE("grep: files and lines of any size") {
  SearchTools tree;
  std::string large;
  for (int i = 0; large.size() < 3'000'000; ++i) large += fmt::format("line {}\n", i);
  const auto lines = std::count(large.begin(), large.end(), '\n');
  tree.write("large", large + "needle\n");
  tree.write("one", std::string(5'000'000, 'x') + "needle");
  const std::string text = grep(tree, "needle");
  CHECK(has(text, fmt::format("large:{}:needle\n", lines + 1)));
  CHECK(has(text, "one:1:["));
  CHECK(has(grep(tree, "line 777777777|nee.le$"), fmt::format("large:{}:needle\n", lines + 1)));
  CHECK(has(grep(tree, "9\\nneedle|8\\nneedle|[0-7]\\nneedle"), fmt::format("large:{}:needle\n", lines + 1)));
}

TEST_CASE("grep: where a slow pattern is searched for in pieces, it is said") {
  SearchTools tree;
  std::mt19937 random(3);
  std::string text;
  while (text.size() < 30'000) text += "ab"[random() % 2];
  tree.write("slow", text);
  const std::string slow = "[ab]*a[ab]{900}";
  CHECK(grep(tree, slow + "x")
            .starts_with("(no matches in 1 file)\n[1 file was searched in pieces: a match of over "));
  tree.write("a", "bx\n");
  CHECK(has(grep(tree, slow + "x|bx"), "a:1:bx\n[1 file was searched in pieces"));
  CHECK(grep(tree, "(?:[ab]{2}){400}x") == "(no matches in 2 files)");
}

TEST_CASE("grep: a text that becomes slow in large pieces is gone through in smaller ones") {
  SearchTools tree;
  tree.options.limits.search_timeout = std::chrono::seconds(20);  // it took minutes
  tree.write("a", std::string(3'000'000, 'a'));
  std::string many;
  for (int i = 0; i < 4000; ++i) many += "a?";
  CHECK(grep(tree, many + "[^a-z]")
            .starts_with("(no matches in 1 file)\n[1 file was searched in pieces: a match of over "));
  tree.write("a", std::string(3'000'000, 'a') + "1");
  CHECK(has(grep(tree, many + "[^a-z]"), "a:1:["));
  std::string lines;
  for (int i = 0; i < 400; ++i) lines += std::string(2000, 'a') + "\n";
  tree.write("a", lines);
  CHECK(grep(tree, many + "[^a-z]").starts_with("(no matches in 1 file)\n[1 file was searched in pieces"));
}

TEST_CASE("grep: a match over lines is as long as it can be, wherever it lies in a large file") {
  SearchTools tree;
  const auto many = [](std::string_view line, int count) {
    std::string lines;
    for (int i = 0; i < count; ++i) lines += line;
    return lines;
  };
  for (const int before : {0, 700, 800, 900, 1000, 5000}) {
    CAPTURE(before);
    tree.write("k", many("z\n", before) + "AAA\nBBB\n" + many("q\n", 300) + "BBB\n" + many("z\n", 20'000));
    const auto text = grep(tree, "(?s)AAA.{0,900}BBB");
    CHECK(std::ranges::count(text, '\n') == 303);
  }
  tree.write(
      "k", many("z\n", 10) + "BEGIN\nEND\n" + std::string(1'000'000, 'q') + "\nEND\n" + many("z\n", 200'000));
  const auto text = grep(tree, "(?s)BEGIN.*END");
  CHECK(std::ranges::count(text, '\n') == 4);
}

TEST_CASE("grep: matches over lines, where the pattern asks for it") {
  SearchTools tree;
  tree.write("a", "x\nfoo\nbar\ny\n");
  CHECK(grep(tree, "foo\\nbar") == "a:2:foo\na:3:bar\n");
  CHECK(grep(tree, "(?s)foo.bar") == "a:2:foo\na:3:bar\n");
  CHECK(grep(tree, "foo[^x]bar").starts_with("(no matches"));
}

TEST_CASE("grep: over lines, the next match may begin in the last line of the one before") {
  SearchTools tree;
  tree.write("n.c", "if (a) {\n  if (b) {\n    if (c) {\n    }\n");
  tree.write("x", "a\na\na a\nb\na\nb\n\n\n");
  CHECK(grep(tree, "\\{\\n\\s*if", "n.c") == "n.c:1:if (a) {\nn.c:2:  if (b) {\nn.c:3:    if (c) {\n");
  CHECK(grep(tree, "a\\na", "x") == "x:1:a\nx:2:a\n");
  CHECK(grep(tree, "a\\nb", "x") == "x:3:a a\nx:4:b\nx:5:a\nx:6:b\n");
  CHECK(grep(tree, "\\n\\n", "x") == "x:6:b\nx:7:\n");
  CHECK(grep(tree, "(?s)a.?", "x") == "x:1:a\nx:2:a\nx:3:a a\nx:5:a\n");
}

TEST_CASE("grep: what is too long is counted, and kept whole elsewhere") {
  SearchTools tree;
  std::string all;
  for (int i = 0; i < 100; ++i) {
    std::string text;
    for (int j = 1; j <= 100; ++j) {
      text += "needle \xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\n";
      all += fmt::format("{}/f{:02}:{}:needle \xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\n", tree.root, i, j);
    }
    tree.write(fmt::format("f{:02}", i), text);
  }
  const sandbox_worker::testing::TempDir spilled;
  const auto spill = SpillStore::open(spilled / "out").value();
  tree.options.spill = spill.get();
  const Grep tool(tree.options);
  const std::string text = SearchTools::text_of(tool.search("needle", ".", {}));
  const auto code_points = std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
  CHECK(code_points <= 100'000);
  CHECK(code_points > 98'000);
  const auto in_file = text.find("all of it is in ") + std::string_view("all of it is in ").size();
  std::ifstream file(text.substr(in_file, text.find(';', in_file) - in_file));
  CHECK(std::string(std::istreambuf_iterator<char>(file), {}) == all);
  const auto note = text.find("\n[");
  REQUIRE(note != std::string::npos);
  CHECK(all.starts_with(text.substr(0, note + 1)));
  const auto shown = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(note) + 1, '\n');
  CHECK(has(text, fmt::format("[{} more matches in {} files not shown", 10'000 - shown, 100 - shown / 100)));
}

TEST_CASE("grep: of a line over 1 MiB, no count is said that isn't known") {
  SearchTools tree;
  const std::string x(1'500'000, 'x');
  tree.write("a", "1\n" + x + "needle" + x + "end\n");
  CHECK(grep(tree, "^1$", "a") == "a:1:1\n");
  CHECK(has(grep(tree, "needle", "a"), "a:2:[1499334 bytes cut]…x"));
  CHECK(has(grep(tree, "needle", "a"), "x…[the rest of a very long line cut]\n"));
  const std::string text = grep(tree, "end$", "a");
  CHECK(text.starts_with("a:2:[2999340 bytes cut]…x"));
  CHECK(text.ends_with("xend\n"));
}

TEST_CASE("grep: a name with a newline is one name") {
  SearchTools tree;
  tree.write("it's\nb\x1B", "needle\n");
  const auto shown = "$'" + tree.root + "/it\\'s\\nb\\033'";
  const Grep tool(tree.options);
  CHECK(SearchTools::text_of(tool.search("needle", ".", {})) == shown + ":1:needle\n");
  CHECK(SearchTools::text_of(tool.search("needle", "it's\nb\x1B", {})) == shown + ":1:needle\n");
}

TEST_CASE("grep: a name that isn't UTF-8 is shown as bash takes it") {
  SearchTools tree;
  tree.write("bad\xFF/a", "needle\n");
  CHECK(grep(tree, "needle") == "$'bad\\377/a':1:needle\n");
}

TEST_CASE("grep: advice on what other engines take otherwise") {
  SearchTools tree;
  tree.write("a", "the end\nx<y\n");
  CHECK(has(grep(tree, "\\<end\\>"), "write \\b for the edge of a word]"));
  CHECK(grep(tree, "x\\<y") == "a:2:x<y\n");
  CHECK_FALSE(has(grep(tree, "\\\\<end"), "\\b"));
  CHECK(has(grep(tree, "foo\\|bar"), "[\\| is the character itself here; write | for alternatives]"));
  CHECK(has(grep(tree, "\\b\xC3\xA9tat\\b"), "know ASCII only"));
  CHECK(has(grep(tree, "\xC3\xA9\\w+"), "know ASCII only"));
  CHECK_FALSE(has(grep(tree, "\\bend of\\b"), "ASCII"));
  CHECK_FALSE(has(grep(tree, "\xC3\xA9\\\\w"), "ASCII"));
  CHECK_FALSE(has(grep(tree, "\xC3\xA9\\s+z"), "ASCII"));
  CHECK(has(grep(tree, "func("), "missing ) in the pattern: func( (write \\( for a literal one)"));
  CHECK(has(grep(tree, "func)"), "write \\) for a literal one"));
  CHECK(has(grep(tree, "a["), "write \\[ for a literal one"));
  CHECK(has(grep(tree, "*a"), "write a \\ before it for a literal one"));
}

TEST_CASE("grep: UTF-32 is binary") {
  SearchTools tree;
  tree.write("a", std::string("\xFF\xFE\0\0x\0\0\0", 8));
  CHECK(grep(tree, "x", "a") == "(no matches: the file is binary)");
}

TEST_CASE("grep: a file that can't be read is an error with its reason") {
  SearchTools tree;
  REQUIRE(tree.workspace.add_root("/proc"));
  CHECK(grep(tree, "x", "/proc/self/mem") ==
        "error: grep: cannot read /proc/self/mem: the device reported an error; try again once");
}

TEST_CASE("grep: files and directories that can't be read are said") {
  SearchTools tree;
  tree.write("secret/s", "needle\n");
  tree.write("a", "hay\n");
  tree.write("b", "needle\n");
  fs::permissions(tree.root + "/b", fs::perms(0200));
  fs::permissions(tree.root, fs::perms(0755));
  fs::permissions(tree.root + "/secret", fs::perms(0700));
  tree.options.threads = 1;
  const sandbox_worker::testing::AsUser user;
  if (!user.ok()) {
    sandbox_worker::testing::leave_out("ROOT");
    return;
  }
  const std::string gaps =
      "\n[1 file couldn't be read]\n[1 directory couldn't be read, so what is below is left out";
  CHECK(grep(tree, "needle").starts_with("(no matches in 1 file)" + gaps));
  CHECK(grep(tree, "hay").starts_with("a:1:hay" + gaps));
  CHECK(grep(tree, "needle", "secret").starts_with("error: grep: cannot open secret: permission denied"));
}

TEST_CASE("grep: where rules are too many to be kept, the answer says so") {
  SearchTools tree;
  tree.write_too_many_rules();
  const auto found = grep(tree, "^x", "a");
  CHECK(found.starts_with("a/out-50000:1:x\n[the .gitignore files and the like hold over 50,000 rules"));
  CHECK(grep(tree, "x", "b") == "b/c:1:x\n");
}

TEST_CASE("grep: nothing that isn't a file makes it wait") {
  SearchTools tree;
  tree.write("a", "needle\n");
  CHECK(::mkfifo((tree.root + "/fifo").c_str(), 0600) == 0);
  CHECK(::symlink("/dev/zero", (tree.root + "/zero").c_str()) == 0);
  CHECK(grep(tree, "needle") == "a:1:needle\n");
  CHECK(grep(tree, "x", "fifo")
            .starts_with("error: grep: cannot open fifo: it is a FIFO, not a regular file; use bash"));
  CHECK(grep(tree, "x", "zero").starts_with("error: grep: "));
  CHECK(grep(tree, "x", "/dev/zero").starts_with("error: grep: "));
  CHECK(grep(tree, "x", "missing").starts_with("error: grep: "));
}

TEST_CASE("grep: a stop ends it") {
  SearchTools tree;
  for (int i = 0; i < 200; ++i) tree.write("f" + std::to_string(i), "needle\n");
  std::stop_source stop;
  stop.request_stop();
  const Grep tool(tree.options);
  const auto stopped = tool.search("needle", ".", stop.get_token());
  CHECK(stopped.is_error);
  CHECK(has(SearchTools::text_of(stopped), "interrupted"));
}

TEST_CASE("grep: what was cut by its time limit says so and is no error") {
  const Deadline deadline({}, std::chrono::nanoseconds(1));
  while (!deadline.passed()) {
  }
  const auto result = with_deadline_note("grep", "a:1:b\n", deadline, std::chrono::milliseconds(1500));
  CHECK_FALSE(result.is_error);
  CHECK(SearchTools::text_of(result).starts_with("a:1:b\n[stopped at the time limit of 1.5 s"));
}

TEST_CASE("grep: the input is checked") {
  SearchTools tree;
  tree.write("a", "needle\n");
  Grep tool(tree.options);
  const auto run = [&](nlohmann::json input) {
    boost::asio::io_context io;
    std::string text;
    boost::asio::co_spawn(
        io,
        [&]() -> boost::asio::awaitable<void> {
          const auto result = co_await tool.run(std::move(input));
          text = tree.relative(SearchTools::text_of(result));
        },
        [](std::exception_ptr error) { CHECK(!error); });
    io.run();
    return text;
  };
  CHECK(run({{"pattern", "needle"}, {"unknown", 1}}) == "a:1:needle\n");
  CHECK(run({{"pattern", "needle"}, {"path", "a"}}) == "a:1:needle\n");
  CHECK(run(nlohmann::json::object()).starts_with("error: "));
  CHECK(run({{"pattern", 5}}).starts_with("error: "));
  CHECK(run({{"pattern", "a"}, {"path", 7}}).starts_with("error: "));
  CHECK(run({{"pattern", "(?=a)"}}).starts_with("error: grep: "));
}
