#include "tools/read.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/file_tools.hpp"
#include "tools/file_kind.hpp"
#include "tools/media_content.hpp"

using namespace sandbox_worker::tools;
using namespace sandbox_worker::testing;
using namespace std::string_literals;
using nlohmann::json;

namespace {

const std::string kPng = "\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0"s;

std::string numbered_lines(int count) {
  std::string text;
  for (int i = 1; i <= count; ++i) text += fmt::format("line {}\n", i);
  return text;
}

std::string read_range(const FileTools& tools, const std::string& path, json range) {
  return tools.read({{"file_path", path}, {"view_range", std::move(range)}});
}

}  // namespace

TEST_CASE("read: a text is given byte for byte") {
  FileTools tools;
  for (const std::string text :
       {"a\nb\n", "a\nb", "a\r\nb\r\n", "\xEF\xBB\xBFwith BOM\n", "\n\n", " \t ", "h\u00e9"}) {
    tools.dir.write("f", text);
    CHECK(tools.read({{"file_path", "f"}}) == text);
    CHECK(tools.read({{"file_path", tools.dir / "f"}}) == text);
  }
  tools.dir.write("f", "");
  CHECK(tools.read({{"file_path", "f"}}) == "[the file is empty]");
}

TEST_CASE("read: view_range gives whole lines, 1-based and inclusive") {
  FileTools tools;
  tools.dir.write("f", "1\n2\r\n3\n4");
  const std::vector<std::pair<json, std::string>> rows = {
      {{1, 1}, "1\n"},
      {{2, 3}, "2\r\n3\n"},
      {{3, 0}, "3\n4"},
      {{3, -1}, "3\n4"},
      {{0, 2}, "1\n2\r\n"},
      {{-5, 1}, "1\n"},
      {{4, 4}, "4"},
      {{2, 99}, "2\r\n3\n4"},
      {json::array(), "1\n2\r\n3\n4"},
      {nullptr, "1\n2\r\n3\n4"},
      {{1.0, 2.0}, "1\n2\r\n"},
      {{5, 6}, "error: read: f has 4 lines, and view_range begins at line 5"},
      {{3, 2}, "error: read: view_range [3, 2] ends before it begins"},
      {{1}, "error: read: view_range must be two whole numbers, e.g. [1, 20]"},
      {{1, 2, 3}, "error: read: view_range must be two whole numbers, e.g. [1, 20]"},
      {{"1", "2"}, "error: read: view_range must be two whole numbers, e.g. [1, 20]"},
      {"1-2", "error: read: view_range must be two whole numbers, e.g. [1, 20]"},
  };
  for (const auto& [range, expected] : rows) {
    CAPTURE(range.dump());
    CHECK(read_range(tools, "f", range) == expected);
  }
  tools.dir.write("ends", "1\n");
  CHECK(read_range(tools, "ends", {2, 2}) == "error: read: ends has 1 line, and view_range begins at line 2");
  tools.dir.write("empty", "");
  CHECK(read_range(tools, "empty", {1, 5}) == "[the file is empty]");
}

TEST_CASE("read: a file or range over the limit is an error that says how to ask") {
  FileTools tools;
  tools.options.limits.max_read_bytes = 100;
  tools.dir.write("f", numbered_lines(1000));
  CHECK(tools.read({{"file_path", "f"}}) ==
        "error: read: f has 1000 lines (8.7 KiB), over the limit of 100 bytes; ask for some of them with "
        "view_range, "
        "e.g. [1, 13]");
  CHECK(read_range(tools, "f", {1, 13}).size() <= 100);
  CHECK(read_range(tools, "f", {1, 15}) ==
        "error: read: these lines of f are over the limit of 100 bytes; view_range [1, 13] fits");
  CHECK(read_range(tools, "f", {980, 0}) ==
        "error: read: these lines of f are over the limit of 100 bytes; view_range [980, 990] fits");
  tools.dir.write("long", std::string(101, 'x') + "\nshort\n");
  CHECK(tools.read({{"file_path", "long"}}) ==
        "error: read: long has 2 lines (108 bytes), over the limit of 100 bytes; line 1 alone is larger: "
        "show a part "
        "of it with bash, e.g. head -c or cut -c");
  CHECK(read_range(tools, "long", {1, 1}) ==
        "error: read: line 1 of long alone is over the limit of 100 bytes; show a part of it with bash, e.g. "
        "sed -n 1p "
        "| cut -c");
  CHECK(read_range(tools, "long", {2, 2}) == "short\n");
  tools.dir.write("exact", std::string(100, 'x'));
  CHECK(tools.read({{"file_path", "exact"}}) == std::string(100, 'x'));
}

TEST_CASE("read: lines are the same wherever the blocks of a large file end") {
  FileTools tools;
  tools.dir.write("f", numbered_lines(100'000));
  for (const int line : {1, 26'000, 26'500, 77'777, 99'999, 100'000})
    CHECK(read_range(tools, "f", {line, line}) == fmt::format("line {}\n", line));
  CHECK(read_range(tools, "f", {100'001, 0}) ==
        "error: read: f has 100000 lines, and view_range begins at line 100001");
}

TEST_CASE("read: the first lines of a 10 GB file are read, and it is said how many there are") {
  FileTools tools;
  tools.dir.write("f", numbered_lines(10'000));
  REQUIRE(::truncate((tools.dir / "f").c_str(), off_t{10} << 30) == 0);  // a hole after the text
  CHECK(read_range(tools, "f", {9'999, 10'000}) == "line 9999\nline 10000\n");
  CHECK(tools.read({{"file_path", "f"}})
            .starts_with("error: read: f has more than 10000 lines (10 GiB), over the limit"));
}

TEST_CASE("read: what is no UTF-8 is replaced, and said in a block of its own") {
  FileTools tools;
  tools.dir.write("f", "a\xFF\n");
  Read read(tools.options);
  const auto result = run_tool(read, {{"file_path", "f"}});
  REQUIRE(result.content.size() == 2);
  CHECK(std::get<TextContent>(result.content[0]).text == "a\uFFFD\n");
  CHECK(std::get<TextContent>(result.content[1]).text ==
        "[1 byte sequence that is not UTF-8 shown as \uFFFD]");
  tools.dir.write("late", std::string(kSniffBytes, 'x') + "\0\n"s);
  CHECK(tools.read({{"file_path", "late"}}).ends_with("x\u2400\n[1 NUL byte shown as \u2400]"));
}

TEST_CASE("read: images and PDFs are told by content, not by name") {
  FileTools tools;
  const std::vector<std::pair<std::string, std::string>> rows = {
      {kPng, "image/png"},
      {"\xFF\xD8\xFF\xE0\0\x10JFIF"s, "image/jpeg"},
      {"GIF89a\1\0\1\0\0\0\0;"s, "image/gif"},
      {"RIFF\x24\0\0\0WEBPVP8 "s, "image/webp"},
  };
  Read read(tools.options);
  for (const auto& [bytes, type] : rows) {
    tools.dir.write("picture.txt", bytes);
    const auto result = run_tool(read, {{"file_path", "picture.txt"}});
    CAPTURE(type);
    REQUIRE(result.content.size() == 1);
    const auto* image = std::get_if<ImageContent>(&result.content.front());
    REQUIRE(image);
    CHECK(image->media_type == type);
    CHECK(image->base64 == encode_base64(bytes));
  }
  tools.dir.write("paper", "%PDF-1.7\n\xE2\xE3\xCF\xD3" + std::string(20'000, 'x') + "\n%%EOF\n");
  const auto result = run_tool(read, {{"file_path", "paper"}, {"view_range", {1, 2}}});
  REQUIRE(result.content.size() == 2);
  CHECK(std::get<DocumentContent>(result.content[0]).media_type == "application/pdf");
  CHECK(std::get<TextContent>(result.content[1]).text == "[view_range is for text; the whole file is shown]");
  for (const char* text :
       {"%PDF-parsing notes\n", "%PDF-1.7\nis how such a file begins\n", "%PDF-x.y\n%%EOF\n", "%PDF-"}) {
    tools.dir.write("notes.pdf", text);
    CHECK(tools.read({{"file_path", "notes.pdf"}}) == text);
  }
  tools.dir.write("text.png", "GIF89a is a format\n");
  CHECK(tools.read({{"file_path", "text.png"}}) == "GIF89a is a format\n");
}

TEST_CASE("read: base64 is that of RFC 4648") {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}, {"\xFF\xFE", "//4="}};
  for (const auto& [bytes, expected] : rows) CHECK(encode_base64(bytes) == expected);
}

TEST_CASE("read: an image or PDF over the service's limit is an error") {
  FileTools tools;
  tools.dir.write("p.png", kPng);
  REQUIRE(::truncate((tools.dir / "p.png").c_str(), kMaxImageBytes) == 0);
  Read read(tools.options);
  const auto largest = run_tool(read, {{"file_path", "p.png"}});
  REQUIRE_FALSE(largest.is_error);
  CHECK(std::get<ImageContent>(largest.content.front()).base64.size() == 5 * 1024 * 1024);
  REQUIRE(::truncate((tools.dir / "p.png").c_str(), kMaxImageBytes + 1) == 0);
  CHECK(tools.read({{"file_path", "p.png"}}) ==
        "error: read: p.png is an image of 3932161 bytes, over the limit of 3932160 bytes; make it smaller "
        "with bash, "
        "e.g. scale it "
        "down");
  tools.dir.write("p.pdf", "%PDF-1.7\n");
  REQUIRE(::truncate((tools.dir / "p.pdf").c_str(), kMaxDocumentBytes - 5) == 0);
  std::ofstream(tools.dir / "p.pdf", std::ios::app) << "%%EOF\n";
  CHECK(tools.read({{"file_path", "p.pdf"}}) ==
        "error: read: p.pdf is a PDF of 20971521 bytes, over the limit of 20971520 bytes; make it smaller "
        "with bash, e.g. "
        "take some of "
        "its pages or its text");
}

TEST_CASE("read: other binary files are a short error with size and kind") {
  FileTools tools;
  constexpr const char* kLook = "use bash to look into it, e.g. file, strings or xxd";
  struct Row {
    std::string bytes;
    const char* kind;
    const char* advice;
  };
  const std::vector<Row> rows = {
      {"\x7F"
       "ELF\2\1\1\0"s,
       "an ELF program or library", kLook},
      {"PK\3\4\x14\0"s, "a ZIP archive (or a format built on it)", kLook},
      {"\x1F\x8B\x08text"s, "gzip data", kLook},
      {"SQLite format 3\0"s, "an SQLite database", kLook},
      {"\xFF\xFEh\0i\0"s, "UTF-16 text", "convert it with bash: iconv -f UTF-16 -t UTF-8"},
      {"\xFF\xFE\0\0h\0\0\0"s, "UTF-32 text", "convert it with bash: iconv -f UTF-32 -t UTF-8"},
      {"%PDF-1.7\n\0"s, "a PDF without its end", kLook},
      {"BM\0"s, "a BMP image", "convert it to PNG to see it"},
      {"\0\1\2"s, "data with NUL bytes", kLook},
  };
  for (const auto& [bytes, kind, advice] : rows) {
    tools.dir.write("f", bytes);
    CHECK(tools.read({{"file_path", "f"}}) ==
          fmt::format("error: read: f is not UTF-8 text but {} ({} bytes); {}", kind, bytes.size(), advice));
  }
  tools.dir.write("f", "MZ is no program\n");
  CHECK(tools.read({{"file_path", "f"}}) == "MZ is no program\n");
}

TEST_CASE("read: what is no regular file never blocks and has its own error") {
  FileTools tools;
  tools.dir.make_dir("dir");
  REQUIRE(::mkfifo((tools.dir / "fifo").c_str(), 0600) == 0);
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (tools.dir / "socket").copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  ::close(socket);
  CHECK(tools.read({{"file_path", "dir"}}) ==
        "error: read: cannot open dir: it is a directory; name a file in it; list it with bash: ls -la");
  const auto special = [](const char* name, const char* kind) {
    return fmt::format(
        "error: read: cannot open {}: it is {}, not a regular file; use bash, with a time limit, if that is "
        "meant",
        name, kind);
  };
  CHECK(tools.read({{"file_path", "fifo"}}) == special("fifo", "a FIFO"));
  CHECK(tools.read({{"file_path", "socket"}}) == special("socket", "a socket"));
  if (::mknod((tools.dir / "device").c_str(), S_IFCHR | 0600, 0x0105) == 0)  // 1:5 is /dev/zero
    CHECK(tools.read({{"file_path", "device"}}) == special("device", "a device"));
}

TEST_CASE("read: a missing file's error names close names nearby") {
  FileTools tools;
  for (const char* name : {"src/main.cpp", "src/Makefile", "docs/readme.md", "src/util.hpp", "src/util.cpp"})
    tools.dir.write(name, "");
  const auto hint = [&](const std::string& path) {
    const auto text = tools.read({{"file_path", path}});
    const auto at = text.find("; did you mean ");
    return at == std::string::npos ? "" : text.substr(at + 15);
  };
  CHECK(hint("src/makefile") == "src/Makefile?");
  CHECK(hint("src/mian.cpp") == "src/main.cpp?");
  CHECK(hint("main.cpp") == "src/main.cpp?");
  CHECK(hint("scr/main.cpp") == "src/main.cpp?");
  CHECK(hint("src/util.cp") == "src/util.cpp or src/util.hpp?");
  CHECK(hint(tools.dir / "src/mian.cpp") == tools.dir / "src/main.cpp?");
  CHECK(hint("src/entirely_else").empty());
  CHECK(hint("x").empty());
  CHECK(tools.read({{"file_path", "src/entirely_else"}}) ==
        "error: read: cannot open src/entirely_else: no such file or directory; check the path, e.g. with "
        "glob");
}

TEST_CASE("read: a link to nowhere is said, and not taken for a near name of its own") {
  FileTools tools;
  tools.dir.link("dangling", "no/such");
  tools.dir.link("dir", "gone");
  tools.dir.write("danglinG", "");
  const std::string missing = ": no such file or directory; check the path, e.g. with glob; ";
  CHECK(tools.read({{"file_path", "dangling"}}) ==
        "error: read: cannot open dangling" + missing +
            "dangling is a link to nowhere (no/such); did you mean danglinG?");
  CHECK(tools.read({{"file_path", "dir/f"}}) ==
        "error: read: cannot open dir/f" + missing + "dir is a link to nowhere (gone)");
}

TEST_CASE("read: names of real trees") {
  FileTools tools;
  const std::vector<std::string> names = {"with space",   "new\nline",     "-rf", "--help",
                                          "\u00e9\u20ac", "a'b\"c$(d)`e`", " ",   std::string(255, 'n'),
                                          "Case",         "case"};
  for (const auto& name : names) {
    tools.dir.write(name, name);
    CHECK(tools.read({{"file_path", name}}) == name);
  }
  tools.dir.write("inv\xFF", "x");
  CHECK(tools.read({{"file_path", "inv\uFFFD"}})
            .ends_with("did you mean inv\uFFFD (its name is not UTF-8: rename it with bash)?"));
  tools.dir.write("bad\xFFname", "x");
  CHECK(tools.read({{"file_path", "badXname"}})
            .ends_with("did you mean bad\uFFFDname (its name is not UTF-8: rename it with bash)?"));
}

TEST_CASE("read: wrong input is said, outside paths are refused, an interrupted read says so") {
  FileTools tools;
  CHECK(tools.read(json::object()) == "error: read: file_path is missing (a string is needed)");
  CHECK(tools.read({{"file_path", ""}}) == "error: read: the path is empty; name a file or directory");
  CHECK(tools.read({{"file_path", "/etc/passwd"}})
            .starts_with("error: read: cannot open /etc/passwd: it is outside"));
  tools.dir.link("link", "/etc/passwd");
  CHECK(tools.read({{"file_path", "link"}}).starts_with("error: read: cannot open link: it is outside"));
  tools.dir.write("f", "x");
  std::stop_source stop;
  stop.request_stop();
  const auto result = read_file(tools.workspace, {.file_path = "f", .view_range = {}}, {}, stop.get_token());
  CHECK(text_of(result) == "error: read: interrupted before f was read");
}
