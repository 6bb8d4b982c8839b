#include "tools/edit.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <chrono>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/support/cpu_time.hpp"
#include "tests/support/file_tools.hpp"
#include "tools/edit_match.hpp"

using namespace sandbox_worker::tools;
using namespace sandbox_worker::testing;
using namespace std::string_literals;
using nlohmann::json;

namespace {

constexpr std::size_t kMax = 1 << 20;
constexpr std::string_view kInterrupted = "error: edit: interrupted; the file is unchanged";

/// The edited text, or the error in brackets.
std::string edited(std::string_view content, std::string_view old_string, std::string_view new_string,
                   bool all = false) {
  const auto result =
      edit_text(content, {.old_string = old_string, .new_string = new_string, .replace_all = all}, kMax, {});
  return result ? result->content : "[" + result.error() + "]";
}

json input(const std::string& path, const std::string& old_string, const std::string& new_string) {
  return {{"file_path", path}, {"old_string", old_string}, {"new_string", new_string}};
}

}  // namespace

TEST_CASE("edit: a match is exact and its replacement literal; all other bytes stay") {
  CHECK(edited("a b c", "b", "x") == "a x c");
  CHECK(edited("a b c", "b", "") == "a  c");
  CHECK(edited("a b c", "b", "$0 \\1 &") == "a $0 \\1 & c");
  CHECK(edited("a.c abc", "a.c", "x") == "x abc");
  CHECK(edited("\xEF\xBB\xBF\xFF a \x80", "a", "b") == "\xEF\xBB\xBF\xFF b \x80");
  CHECK(edited("nul \0 a"s, "a", "b") == "nul \0 b"s);
  CHECK(edited("whole", "whole", "new") == "new");
  CHECK(edited("no end", "end", "end\n") == "no end\n");
  CHECK(edited("a a a", "a", "aa", true) == "aa aa aa");
  CHECK(edited("aaa", "aa", "b", true) == "ba");
}

TEST_CASE("edit: a text found more than once is not replaced, and the first places are named") {
  CHECK(edited("x = 1\ny = 1\n\nz = 1\nw = 1\n", " = 1", " = 2") ==
        "[old_string was found 4 times; add text around it that only one place has, or set replace_all. "
        "First places:"
        "\n     1\tx = 1\n     2\ty = 1\n     4\tz = 1]");
  CHECK(edited("aaa", "aa", "b").starts_with("[old_string was found 2 times;"));
}

TEST_CASE("edit: a text that isn't found says whether it is there with other white space or line endings") {
  CHECK(edited("a\n\tif (x) {\n\t\ty();\n\t}\n", "  if (x) {\n    y();\n", "z") ==
        "[old_string was not found; with other white space it matches at lines 2-3: read that part again and "
        "copy it "
        "exactly]");
  CHECK(edited("a\nb\nc\n", "a\r\nb", "z") ==
        "[old_string was not found; with other line endings it matches at lines 1-2: read that part again "
        "and copy it "
        "exactly]");
  CHECK(edited("f(a,b)\nf(a,b)\n", "f(a, b)", "z") ==
        "[old_string was not found; with other white space it matches at line 1, line 2: read that part "
        "again and copy "
        "it exactly]");
  CHECK(edited("abc", "xyz", "z") ==
        "[old_string was not found; read the file again and copy the text exactly]");
  CHECK(edited("", "xyz", "z") ==
        "[old_string was not found; read the file again and copy the text exactly]");
  CHECK(edited("abc", "\t", "z") ==
        "[old_string was not found; read the file again and copy the text exactly]");
}

TEST_CASE("edit: a no-break space and Unicode's other spaces are white space") {
  for (const char* space : {"\u00A0", "\u1680", "\u2000", "\u2007", "\u200A", "\u202F", "\u205F", "\u3000"}) {
    CAPTURE(space);
    const std::string says =
        "[old_string was not found; with other white space it matches at lines 2-3: read that part again and "
        "copy it exactly]";
    CHECK(edited(fmt::format("x\na{0}b{0}\n{0}c\n", space), "a b\nc", "z") == says);
    CHECK(edited("x\na b\nc\n", fmt::format("a{}b\nc", space), "z") == says);
  }
  for (const char* no_space : {"\u00A1", "\u200B", "\uFEFF", "\xA0", "\xC2", "\xE3\x80"}) {
    CAPTURE(no_space);
    CHECK(edited(fmt::format("a{}b", no_space), "a b", "z") ==
          "[old_string was not found; read the file again and copy the text exactly]");
  }
  CHECK(edited("abc", "\u00A0", "z") ==
        "[old_string was not found; read the file again and copy the text exactly]");
}

TEST_CASE("edit: a text with the signs that read shows for other bytes is said not to match them") {
  const char* says =
      "[old_string was not found; where read shows \uFFFD or \u2400 the file has other bytes, which can't be "
      "matched: leave them out of old_string]";
  CHECK(edited("caf\xE9 x", "caf\uFFFD x", "z") == says);
  CHECK(edited("a\0b"s, "a\u2400b", "z") == says);
  CHECK(edited("caf\uFFFD x", "caf\uFFFD x", "z") == "z");
  for (std::size_t cut = 0; cut < 8; ++cut)  // wherever in it a block of the file ends
    CHECK(edited(std::string((1 << 20) - cut, 'a') + "b\u20ac\xE2\x82 x", "b\u20ac\uFFFD x", "z") == says);
}

TEST_CASE("edit: a CRLF file can be edited with LF strings, and stays one") {
  CHECK(edited("a\r\nb\r\nc\r\n", "a\nb", "x\ny\nz") == "x\r\ny\r\nz\r\nc\r\n");
  CHECK(edited("a\r\nb\r\n", "b", "x\ny") == "a\r\nx\r\ny\r\n");
  CHECK(edited("a\r\nb\r\na\r\nb\r\n", "a\nb", "x", true) == "x\r\nx\r\n");
  CHECK(edited("a\r\nb\r\na\r\nb\r\n", "a\nb", "x").starts_with("[old_string was found 2 times;"));
  CHECK(edited("a\r\nb\nc", "b", "x\ny") == "a\r\nx\ny\nc");
  CHECK(edited("a\r\nb\r\n", "a\r\nb", "x\r\ny") == "x\r\ny\r\n");
  CHECK(edited("a\r\n{\r\nfoo\r\n}\r\n", "\n}", " }") == "a\r\n{\r\nfoo }\r\n");
  CHECK(edited("a\r\n}\r\n", "\n}", "\nbar\nbaz\n}") == "a\r\nbar\r\nbaz\r\n}\r\n");
  CHECK(edited("a\r\nb\r\n", "\n", "\n\n", true) == "a\r\n\r\nb\r\n\r\n");
  CHECK(edited("a\r\nb\r\n", "a\r\nb", "x\ny") == "x\r\ny\r\n");
  CHECK(edited("a\r\nb\n}\n", "\n}", " }") == "a\r\nb }\n");
  CHECK(edited("a\r\nb\r\n", "a\nb", "a\r\nb") ==
        "[the line endings there are CRLF, and nothing else would change]");
}

TEST_CASE("edit: the answer says that LF was taken as CRLF, also at the beginning of the text") {
  FileTools tools;
  tools.dir.write("f", "a\r\n}\r\n");
  CHECK(tools.edit(input("f", "\n}", "\nb\n}"))
            .starts_with(
                "Edited f: 1 occurrence replaced; the line endings there are CRLF, so the new text got"));
}

TEST_CASE("edit: the answer speaks of the new text's line endings only where it has some") {
  FileTools tools;
  const auto edit = [&](const char* content, const char* old_text, const char* new_text) {
    tools.dir.write("f", content);
    const auto answer = tools.edit(input("f", old_text, new_text));
    return answer.substr(0, answer.find('\n'));
  };
  const std::string edited = "Edited f: 1 occurrence replaced";
  CHECK(edit("a\r\nb\r\nc", "a\nb\n", "") == edited + "; the line endings there are CRLF");
  CHECK(edit("a\r\nb\nc\n", "a\nb", "x") == edited + "; the line endings there are CRLF");
  CHECK(edit("a\r\nb\r\n", "a", "x\ny") ==
        edited + "; the line endings there are CRLF, so the new text got them too");
  CHECK(edit("a\r\nb\r\n", "a", "x") == edited);
  CHECK(edit("a\r\nb\r\n", "a\r\nb", "x") == edited);
}

TEST_CASE("edit: a result over the limit is refused before it is made") {
  const std::string many(1000, 'a');
  const auto result = edit_text(
      many, {.old_string = "a", .new_string = std::string(1000, 'b'), .replace_all = true}, kMax / 2, {});
  REQUIRE_FALSE(result);
  CHECK(result.error() == "it would have 976.6 KiB, over the limit of 512 KiB");
}

TEST_CASE("edit: the answer shows the changed lines with two around them") {
  FileTools tools;
  tools.dir.write("f", "1\n2\n3\n4\n5\n6\n7\n");
  CHECK(tools.edit(input("f", "4\n", "four\nand a half\n")) ==
        "Edited f: 1 occurrence replaced\n     2\t2\n     3\t3\n     4\tfour\n     5\tand a half\n     "
        "6\t5\n     7\t6");
  CHECK(tools.dir.read("f") == "1\n2\n3\nfour\nand a half\n5\n6\n7\n");
  tools.dir.write("f", "a\nb\nc");
  CHECK(tools.edit(input("f", "c", "")) == "Edited f: 1 occurrence replaced\n     1\ta\n     2\tb");
  CHECK(tools.edit(input("f", "a\nb\n", "")) == "Edited f: 1 occurrence replaced");
  tools.dir.write("f", "a\r\nb\r\n");
  CHECK(
      tools.edit(input("f", "a\nb", "x\ny")) ==
      "Edited f: 1 occurrence replaced; the line endings there are CRLF, so the new text got them too\n     "
      "1\tx\n     "
      "2\ty");
}

TEST_CASE("edit: places close to each other are shown together, far ones apart, many are counted") {
  std::string content;
  for (int i = 1; i <= 100; ++i) content += i % 10 == 0 || i == 11 ? "hit\n" : "x\n";
  const auto result =
      edit_text(content, {.old_string = "hit", .new_string = "HIT", .replace_all = true}, kMax, {});
  REQUIRE(result);
  CHECK(result->count == 11);
  CHECK(show_changes(*result).starts_with(
      "\n     8\tx\n     9\tx\n    10\tHIT\n    11\tHIT\n    12\tx\n    13\tx\n   "
      "...\n    18\tx\n"));
  CHECK(show_changes(*result).ends_with("    52\tx\n… and 5 more places elsewhere"));
}

TEST_CASE("edit: no line is shown twice, however close the places are") {
  for (int gap = 1; gap < 10; ++gap) {
    std::string content;
    for (int i = 1; i <= 30; ++i) content += i == 10 || i == 10 + gap ? "hit\n" : "x\n";
    const auto result =
        edit_text(content, {.old_string = "hit", .new_string = "HIT", .replace_all = true}, kMax, {});
    REQUIRE(result);
    const auto shown = show_changes(*result);
    for (int line = 8; line <= 12; ++line) {
      const auto number = fmt::format("\n{:>6}\t", line);
      CHECK(shown.find(number) != std::string::npos);
      CHECK(shown.find(number) == shown.rfind(number));
    }
    CHECK(shown.contains("...") == (gap > 5));
  }
}

TEST_CASE("edit: of several places in a line, the last one's last line counts for what is shown") {
  FileTools tools;
  const auto shown = [&](const std::string& new_string) {
    tools.dir.write("f", "1\na.a a\na\n4\n5\n6\n7\n8\n");
    return tools.edit(
        {{"file_path", "f"}, {"old_string", "a"}, {"new_string", new_string}, {"replace_all", true}});
  };
  const std::string head = "Edited f: 4 occurrences replaced\n     1\t1";
  CHECK(shown("b") == head + "\n     2\tb.b b\n     3\tb\n     4\t4\n     5\t5");
  CHECK(shown("") == head + "\n     2\t. \n     3\t\n     4\t4\n     5\t5");
  CHECK(shown("b\n") ==
        head + "\n     2\tb\n     3\t.b\n     4\t b\n     5\t\n     6\tb\n     7\t\n     8\t4");
  CHECK(shown("b\nc") ==
        head +
            "\n     2\tb\n     3\tc.b\n     4\tc b\n     5\tc\n     6\tb\n     7\tc\n     8\t4\n     9\t5");
}

TEST_CASE("edit: a long change is shortened in the answer") {
  std::string text;
  for (int i = 0; i < 100; ++i) text += std::string(1000, 'y') + "\n";
  const auto result = edit_text("x\n", {.old_string = "x\n", .new_string = text}, kMax, {});
  REQUIRE(result);
  const auto shown = show_changes(*result);
  CHECK(shown.size() < 20'000);
  CHECK(shown.ends_with("\n… 60 lines more"));
}

TEST_CASE("edit: places beyond those that an answer looks at are counted, too") {
  std::string content;
  for (int i = 0; i < 1000; ++i) content += "hit\n";
  const auto result =
      edit_text(content, {.old_string = "hit", .new_string = "HIT", .replace_all = true}, kMax, {});
  REQUIRE(result);
  CHECK(show_changes(*result).ends_with("\n    40\tHIT\n… 62 lines more\n… and 900 more places elsewhere"));
}

TEST_CASE("edit: of a very long line the part around the change is shown") {
  const auto content = std::string(5000, 'a') + "\u20ac needle \u20ac" + std::string(5000, 'b');
  const auto result = edit_text(content, {.old_string = "needle", .new_string = "thread"}, kMax, {});
  REQUIRE(result);
  const auto shown = show_changes(*result);
  CHECK(shown.contains("aaa\u20ac thread \u20acbbb"));
  CHECK(shown.size() < 400);
  CHECK(edited(content + content, "needle", "x").contains("aaa\u20ac needle \u20acbbb"));
}

TEST_CASE("edit: wrong input changes nothing") {
  FileTools tools;
  tools.dir.write("f", "old");
  CHECK(tools.edit({{"file_path", "f"}, {"old_string", "old"}}) ==
        "error: edit: new_string is missing (a string is needed)");
  CHECK(tools.edit({{"file_path", "f"}, {"old_string", "old"}, {"new_string", 1}, {"replace_all", "yes"}}) ==
        "error: edit: new_string must be a string, not a number; replace_all must be true or false, not a "
        "string");
  CHECK(tools.edit(input("f", "", "x")) ==
        "error: edit: old_string is empty; name the text to replace, or use write");
  CHECK(tools.edit(input("f", "old", "old")) ==
        "error: edit: old_string and new_string are the same; nothing would change");
  CHECK(tools.edit(input("f", "none", "x")) ==
        "error: edit: f: old_string was not found; read the file again and copy the text exactly");
  CHECK(tools.dir.read("f") == "old");
}

TEST_CASE("edit: a missing file is not made, special files and outside paths are refused") {
  FileTools tools;
  tools.dir.write("src/main.c", "x");
  CHECK(tools.edit(input("src/mian.c", "x", "y")) ==
        "error: edit: cannot open src/mian.c: no such file or directory; check the path, e.g. with glob; did "
        "you mean "
        "src/main.c?");
  CHECK(tools.edit(input("scr/main.c", "x", "y")).ends_with("did you mean src/main.c?"));
  CHECK(tools.edit(input("src", "x", "y")).starts_with("error: edit: cannot open src: it is a directory"));
  CHECK(tools.edit(input("/etc/passwd", "root", "y"))
            .starts_with("error: edit: cannot open /etc/passwd: it is outside"));
  REQUIRE(::mkfifo((tools.dir / "fifo").c_str(), 0600) == 0);
  CHECK(tools.edit(input("fifo", "x", "y")).starts_with("error: edit: cannot open fifo: it is a FIFO"));
  CHECK(tools.dir.list() == "fifo src src/main.c");
}

TEST_CASE("edit: a file over the limit is refused, one at the limit is edited") {
  FileTools tools;
  tools.options.limits.max_edit_bytes = 10;
  tools.dir.write("f", "0123456789a");
  CHECK(tools.edit(input("f", "a", "b")) ==
        "error: edit: f has 11 bytes, over the limit of 10 bytes; use bash, e.g. sed -i");
  tools.dir.write("f", "012345678a");
  CHECK(tools.edit(input("f", "a", "b")) == "Edited f: 1 occurrence replaced\n     1\t012345678b");
  CHECK(tools.edit(input("f", "b", "bb")) ==
        "error: edit: f: it would have 11 bytes, over the limit of 10 bytes");
}

TEST_CASE("edit: edits of one file by several lanes at once all take effect") {
  FileTools tools;
  std::string content;
  for (int i = 0; i < 50; ++i) content += fmt::format("<{}>\n", i);
  tools.dir.write("f", content);
  tools.dir.link("link", "f");
  std::vector<Edit> lanes(50, Edit(tools.options));
  std::vector<std::pair<Tool*, json>> calls;
  for (int i = 0; i < 50; ++i)
    calls.emplace_back(&lanes[static_cast<std::size_t>(i)],
                       input(i % 2 == 0 ? "f" : "link", fmt::format("<{}>", i), fmt::format("[{}]", i)));
  for (const auto& result : run_tools(calls)) CHECK_FALSE(result.is_error);
  std::string expected;
  for (int i = 0; i < 50; ++i) expected += fmt::format("[{}]\n", i);
  CHECK(tools.dir.read("f") == expected);
}

TEST_CASE("edit: a large file and text that are made to be slow are told as soon as others") {
  const auto begin = cpu_time();
  constexpr std::size_t kSize = 8'000'000;
  const std::string row(kSize, '0');
  const std::string part(50'000, '0');
  CHECK(edited(row, part, "x").starts_with("[old_string was found 7950001 times;"));
  CHECK(edited(row, part + "1", "x").starts_with("[old_string was not found; read the file again"));
  CHECK(edited(row, "\r\n" + part, "x").contains("with other white space it matches at line 1, line 1, "));
  const std::string spaces(kSize, ' ');
  CHECK(edited(spaces, std::string(50'000, '\t'), "x").starts_with("[old_string was not found; read the"));
  CHECK(edited(spaces, " x", "y").starts_with("[old_string was not found; read the"));
  // A hundred changes at the end of one line, and at its begin.
  const std::string changes(100, '1');
  for (const auto& content : {row + changes, changes + row}) {
    const auto changed =
        edit_text(content, {.old_string = "1", .new_string = "2", .replace_all = true}, 2 * kSize, {});
    REQUIRE(changed);
    CHECK(show_changes(*changed).contains("222"));
  }
  CHECK(cpu_time() - begin < std::chrono::seconds(20));
}

TEST_CASE("edit: of a stopped call nothing is searched") {
  std::stop_source stop;
  stop.request_stop();
  const auto stopped = [&](std::string_view content, std::string_view old_string, bool all) {
    const Replacement replacement{.old_string = old_string, .new_string = "z", .replace_all = all};
    const auto result = edit_text(content, replacement, kMax, stop.get_token());
    return result ? result->content : "[" + result.error() + "]";
  };
  const char* says = "[old_string was not found; read the file again and copy the text exactly]";
  CHECK(stopped("a b c", "b", false) == says);
  CHECK(stopped("a b c", "b", true) == says);
  CHECK(stopped("a\tb", "a b", false) == says);           // also not with other white space,
  CHECK(stopped("caf\xE9", "caf\uFFFD", false) == says);  // nor as read shows it
}

TEST_CASE("edit: a stopped call leaves the file as it is and says so") {
  FileTools tools;
  tools.dir.write("f", "old");
  std::stop_source stop;
  stop.request_stop();
  const EditInput edit{.file_path = "f", .old_string = "old", .new_string = "new"};
  CHECK(text_of(edit_file(tools.options, edit, stop.get_token())) == kInterrupted);
  CHECK(tools.dir.read("f") == "old");
  CHECK(tools.dir.list() == "f");
}

TEST_CASE("edit: what a search found until a stop is not given for what is in the file") {
  FileTools tools;
  tools.dir.write("f", std::string(2'000'000, '0') + "\u00A0x");
  const EditInput edit{.file_path = "f", .old_string = " x", .new_string = "y"};
  const auto whole = text_of(edit_file(tools.options, edit, {}));
  REQUIRE(whole.contains("with other white space it matches at line 1:"));
  // Nearly all of the time goes by in the search; the last stop that comes before its end is in its second
  // half.
  std::string text;
  for (auto wait = std::chrono::microseconds(100); text != whole; wait *= 2) {
    std::stop_source stop;
    const std::jthread stopper([&] {
      std::this_thread::sleep_for(wait);
      stop.request_stop();
    });
    text = text_of(edit_file(tools.options, edit, stop.get_token()));
    if (text != whole) CHECK(text == kInterrupted);
  }
}
