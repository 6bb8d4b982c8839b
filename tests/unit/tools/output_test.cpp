#include "tools/output.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/support/temp_dir.hpp"
#include "tools/spill.hpp"
#include "tools/utf8.hpp"

using namespace sandbox_worker::tools;

namespace {

std::string clean(std::initializer_list<std::string_view> pieces) {
  std::string text;
  TextCleaner cleaner([&](std::string_view part) { text += part; });
  for (const auto piece : pieces) cleaner.feed(piece);
  cleaner.finish();
  return text;
}

}  // namespace

TEST_CASE("output: what a terminal would not show as text is cleaned, wherever the bytes are cut") {
  struct Row {
    std::string bytes;
    std::string text;
  };
  const Row rows[] = {
      {"plain\ntext", "plain\ntext"},
      {"\x1b[1;31mred\x1b[0m end", "red end"},
      {"\xC2\x9B"
       "1;31mred\xC2\x9B"
       "0m \xC2\x9C end",
       "red \xC2\x9C end"},
      {"\x1b]0;title\x07name", "name"},
      {"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"},
      {"\x1b(Bcharset", "charset"},
      {"10%\r50%\r100%\ndone", "100%\ndone"},
      {"10%\r50%\r", "50%"},
      {"dos\r\nlines\r\n", "dos\nlines\n"},
      {"old\r\x1b[Knew\n", "new\n"},
      {std::string("a\0b", 3),
       "a\xE2\x90\x80"
       "b"},
      {"bad\xFF\xE2\x82zz", "bad\xEF\xBF\xBD\xEF\xBF\xBDzz"},
      {"\xF0\x9F\x98\x80 ok", "\xF0\x9F\x98\x80 ok"},
      {"cut \xF0\x9F", "cut \xEF\xBF\xBD"},
      {"\x1b]0;build\x1b\nERROR: the one line that counts\nnext", "\nERROR: the one line that counts\nnext"},
      {"\x1b]0;title\x1b[31mred text\nline2", "red text\nline2"},
      {"\x1b]0;one\x1b]0;two\x07name", "name"},
      {"\x1b]0;a\x1b\x1b\\b", "b"},
      {"\x1b\x1b[1mbold", "bold"},
      {"a\x1b\xC3\xA9 b", "a\xC3\xA9 b"},
      {"a\x1b(\xC3\xA9 b", "a\xC3\xA9 b"},
      {"a\x1b(\x1b[1mb", "ab"},
      {"a\x1b[1\xC3\xA9 b", "a\xC3\xA9 b"},
      {"10%\x1b\r20%", "20%"},
      {"\x1b=\x1b>\x1b"
       "7\x1b"
       "8ok",
       "ok"},
      {"never closed \x1b]0;abc\nnext", "never closed \nnext"},
  };
  for (const auto& row : rows)
    for (std::size_t cut = 0; cut <= row.bytes.size(); ++cut) {
      const std::string_view bytes = row.bytes;
      const std::string got = clean({bytes.substr(0, cut), bytes.substr(cut)});
      CHECK_MESSAGE(got == row.text, "cut at ", cut, " of: ", row.bytes);
    }
}

TEST_CASE("output: text up to the limit is whole, beyond it the middle is left out") {
  BoundedText text(10);
  text.append("0123456789");
  CHECK(text.str("[cut]") == "0123456789");
  CHECK_FALSE(text.overflown());
  text.append("abc\xC3\xBC");
  CHECK(text.code_points() == 14);
  CHECK(text.str("[cut]") == "01\n[cut]\n6789abc\xC3\xBC");
}

TEST_CASE("output: a text can be given in less room than was kept for it") {
  for (const int digits : {10, 8, 5, 30}) {
    BoundedText text(10);
    std::string all;
    for (int i = 0; i < digits; ++i) all += static_cast<char>('a' + i % 26);
    text.append(all);
    CHECK(text.str("-", 5) == (digits == 5 ? all : "a\n-\n" + all.substr(all.size() - 4)));
    CHECK(text.str("-", 0) == "\n-\n");
  }
  const sandbox_worker::testing::TempDir dir;
  auto store = SpillStore::open(dir.path().string() + "/spill");
  REQUIRE(store);
  CallOutput output(store->get(), "bash");
  output.feed("0123456789\nno end");
  CHECK(output.end() == 17);
  const auto path = (*store)->directory() + "/bash-1.txt";
  CHECK(output.finish(10) == "01\n[7 characters left out; the whole output is in " + path + "]\n9\nno end");
  std::ifstream file(path);
  const std::string spilled{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  CHECK(spilled == "0123456789\nno end");
}

TEST_CASE("output: the parts kept don't depend on how the text came") {
  std::string all;
  for (int i = 0; i < 1000; ++i) all += std::to_string(i) + "\xE2\x82\xAC";
  BoundedText once(100);
  once.append(all);
  BoundedText many(100);
  for (std::size_t at = 0; at < all.size();) {
    const auto step = prefix_bytes(std::string_view(all).substr(at), 7);
    many.append(std::string_view(all).substr(at, step));
    at += step;
  }
  CHECK(once.str("-") == many.str("-"));
  CHECK(count_code_points(once.str("-")) == 103);
}

TEST_CASE("output: what doesn't fit is whole in a file that the text names") {
  const sandbox_worker::testing::TempDir dir;
  auto store = SpillStore::open(dir.path().string() + "/spill");
  REQUIRE(store);
  CallOutput output(store->get(), "bash");
  std::string all;
  for (int i = 0; i < 40000; ++i) {
    const std::string line = "line " + std::to_string(i) + "\n";
    output.feed(line);
    all += line;
  }
  const std::string text = output.finish();
  const auto path = (*store)->directory() + "/bash-1.txt";
  CHECK(text.find("; the whole output is in " + path + "]\n") != std::string::npos);
  CHECK(text.starts_with("line 0\n"));
  CHECK(text.ends_with("line 39999\n"));
  CHECK(count_code_points(text) < kMaxResultCodePoints + 200);
  std::ifstream file(path);
  const std::string spilled{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  CHECK((spilled == all));
}
