#include "tools/text.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace sandbox_worker::tools;
using namespace std::string_literals;

TEST_CASE("text: what is no UTF-8 is replaced, the longest start of a character by one mark") {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"", ""},
      {"plain\r\n\t", "plain\r\n\t"},
      {"h\u00e9\u20ac\U0001F600", "h\u00e9\u20ac\U0001F600"},
      {"\xEF\xBB\xBFx", "\uFEFFx"},
      {"a\xFFz", "a\uFFFDz"},
      {"a\x80\x80z", "a\uFFFD\uFFFDz"},
      {"\xC0\xAF", "\uFFFD\uFFFD"},
      {"\xE0\x80\x80", "\uFFFD\uFFFD\uFFFD"},
      {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"},
      {"\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},
      {"\xE2\x82", "\uFFFD"},
      {"\xE2\x82z", "\uFFFDz"},
      {"\xF0\x9F\x98", "\uFFFD"},
      {"a\0b"s, "a\u2400b"},
  };
  for (const auto& [bytes, expected] : rows) {
    CAPTURE(expected);
    CHECK(show_text(bytes).text == expected);
  }
  const auto counted = show_text("\xFF \0 \xE2\x82 ok"s);
  CHECK(counted.replaced == 2);
  CHECK(counted.nuls == 1);
}

TEST_CASE("text: a bad or NUL byte is found at every place of a long text") {
  for (std::size_t at = 0; at < 40; ++at) {
    std::string bytes(40, 'x');
    bytes[at] = '\xFF';
    CHECK(show_text(bytes).text == std::string(at, 'x') + "\uFFFD" + std::string(39 - at, 'x'));
    bytes[at] = '\0';
    CHECK(show_text(bytes).nuls == 1);
    bytes[at] = '\x7F';
    CHECK(show_text(bytes).text == bytes);
    bytes[at] = '\1';
    CHECK(show_text(bytes).text == bytes);
  }
}

TEST_CASE("text: sizes and counts in words") {
  CHECK(size_words(0) == "0 bytes");
  CHECK(size_words(1) == "1 byte");
  CHECK(size_words(1023) == "1023 bytes");
  CHECK(size_words(256 * 1024) == "256 KiB");
  CHECK(size_words(1536) == "1.5 KiB");
  CHECK(size_words(5ULL << 30) == "5 GiB");
  CHECK(size_words(~0ULL) == "16777216 TiB");
  CHECK(count_words(2, "line") == "2 lines");
}

TEST_CASE("text: a shown line has no line end, and of a long one the part that counts") {
  CHECK(show_line("abc\r\n", 10) == "abc");
  CHECK(show_line("abc\n", 3) == "abc");
  CHECK(show_line("\xFF\n", 10) == "\uFFFD");
  CHECK(show_line("0123456789abcdefghij", 8) == "01234567…");
  CHECK(show_line("0123456789abcdefghij", 8, 10) == "…89abcdef…");
  CHECK(show_line("0123456789abcdefghij", 8, 19) == "…ghij");
  CHECK(show_line("0123456\u20ac9abcdefghij", 8, 10) == "…9abcdefg…");
}

TEST_CASE("text: shortened text is cut between characters") {
  CHECK(shorten("abc", 3) == "abc");
  CHECK(shorten("abcd", 3) == "abc…");
  CHECK(shorten("a\u20acb", 3) == "a…");
  CHECK(shorten("a\u20acb", 4) == "a\u20ac…");
}

TEST_CASE("text: a size that looks like its limit is said in bytes, with the limit") {
  CHECK(size_and_limit_words(300'000, 262'144).size == "293 KiB");
  CHECK(size_and_limit_words(300'000, 262'144).limit == "256 KiB");
  CHECK(size_and_limit_words(262'145, 262'144).size == "262145 bytes");
  CHECK(size_and_limit_words(262'145, 262'144).limit == "262144 bytes");
}
