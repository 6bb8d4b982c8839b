#include "tools/line_search.hpp"

#include <doctest/doctest.h>
#include <re2/re2.h>

#include <random>
#include <string>
#include <vector>

using namespace sandbox_worker::tools;

namespace {

std::vector<std::string> lines_of(std::string_view pattern, std::string_view text) {
  const auto search = LineSearch::compile(pattern);
  REQUIRE_MESSAGE(search.has_value(), pattern);
  std::vector<std::string> out;
  const Deadline deadline;
  WindowLimits limits;
  LineScan scan(*search, text, deadline, limits);
  while (const auto hit = scan.next()) {
    CHECK(hit->begin <= hit->match_begin);
    CHECK(hit->match_begin <= text.size());
    out.emplace_back(text.substr(hit->begin, hit->end - hit->begin));
  }
  return out;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("line_search: lines that match") {
  struct Row {
    const char* pattern;
    const char* text;
    Lines expected;
  };
  const Row rows[] = {
      {"foo", "foo\nbar\nxfoox", {"foo", "xfoox"}},
      {"foo", "foofoo\n", {"foofoo"}},
      {"^a", "ba\nab\n", {"ab"}},
      {"a$", "ba\nab\na", {"ba", "a"}},
      {"^$", "a\n\nb\n", {""}},
      {"", "a\nb\n", {"a", "b"}},
      {"x*", "\n", {""}},
      // A line is the text that \A and \z speak of, with a literal to look for or without.
      {"\\z", "a\n\n", {"a", ""}},
      {"\\A.", "a\nb\n", {"a", "b"}},
      {"\\Ab", "a\nb\n", {"b"}},
      {"(?-m)^.", "a\nb\n", {"a", "b"}},
      {"[^a]b", "a\nb\nxb\n", {"xb"}},
      {"a\\sb", "a\nb\na b\n", {"a b"}},
      {"\\bfoo\\b", "foobar\nfoo bar\n", {"foo bar"}},
      {"a$", "a\r\nb\r\n", {"a\r"}},
      {"^a\\r$", "a\r\n", {"a\r"}},
      {"^$", "\r\n", {"\r"}},
      // The return of a line's end is only there for patterns that name it.
      {"[^;]$", "foo;\r\nbar\r\n", {"bar\r"}},
      {"^.$", "\r\na\r\nab\r\n", {"a\r"}},
      {"\\s+$", "a\r\nb \r\n", {"b \r"}},
      {"\\s", "a\r\na b\r\n", {"a b\r"}},
      {"\\W$", "a\r\n;\r\n", {";\r"}},
      {"\\B", "b\r\nbc\r\n", {"bc\r"}},
      {".+;$", "a;\r\na\r\n", {"a;\r"}},
      {"a.", "a\rb\na\r\n", {"a\rb"}},
      {"a[\\s\\x0d]", "a\r\n", {"a\r"}},
      {"foo\\z", "foo\r\nfoo\n", {"foo\r", "foo"}},
      {"..\\z", "foo\r\n", {"foo\r"}},
      {"a$", "a\r\r\n", {}},
      {"a.$", "a\r\r\n", {"a\r\r"}},
      {"[^\\r]$", "a\r\nb\n", {"a\r", "b"}},
      {"(?i)deprecate", "DEPRECATED\nx\n", {"DEPRECATED"}},
      {"(?i)k", "\xE2\x84\xAA\n", {"\xE2\x84\xAA"}},
      {"^.$", "\xC3\xA9\nab\n", {"\xC3\xA9"}},
      {"\\p{Greek}", "\xCE\xB1\nb\n", {"\xCE\xB1"}},
      {"foo.bar",
       "foo\xFF"
       "bar\n",
       {"foo\xFF"
        "bar"}},
      {"x.y", "x\xFFy\nx\xC3\xA9y\n", {"x\xFFy", "x\xC3\xA9y"}},
      {"a\\nb", "a\nb\nc\n", {"a\nb"}},
      {"(?s)a.*c", "xa\nb\ncx\nd", {"xa\nb\ncx"}},
      {"a\\n", "a\nb\n", {"a"}},
      {"foo;$\\nfoobar", "foo;\r\nfoobar\r\n", {"foo;\r\nfoobar\r"}},
      {"caf\\xe9", "caf\xE9\ncaf\xC3\xA9\n", {"caf\xE9", "caf\xC3\xA9"}},
      {"caf[\\xe9]", "caf\xE9\ncaf\xC3\xA9\n", {"caf\xE9", "caf\xC3\xA9"}},
      {"ab(?i)*", "ab*\nabb\na\n", {"ab*", "abb", "a"}},
      {"ab\\Q\\E*", "ab*\nabb\na\n", {"ab*", "abb", "a"}},
      {"(?i)^\\w$", "\xC5\xBF\ns\n-\n", {"\xC5\xBF", "s"}},
      {"TODO|FIXME", "x TODO\ny\nFIXME z TODO\n", {"x TODO", "FIXME z TODO"}},
  };
  for (const auto& row : rows) {
    CAPTURE(row.pattern);
    CAPTURE(row.text);
    CHECK(lines_of(row.pattern, row.text) == row.expected);
  }
}

TEST_CASE(
    "line_search: with and without a prefilter, whole texts and single lines agree, on random patterns") {
  std::mt19937 random(11);
  const std::vector<std::string> atoms = {"a",       "b",    "ab",  "_",      "[ab]", "[^a]",
                                          ".",       "\\w",  "\\b", "^",      "$",    "(?:a|b_)",
                                          "(?i:Ab)", "b{2}", "a+",  "_{1,2}", "\\s",  "(?:)"};
  const std::vector<std::string> repeats = {"", "", "", "*", "+", "?", "{2}", "{1,3}"};
  const auto any = [&](const auto& list) { return list[random() % list.size()]; };
  for (int round = 0; round < 2000; ++round) {
    std::string pattern;
    for (std::size_t i = 0, count = 1 + random() % 5; i < count; ++i) {
      if (i > 0 && random() % 6 == 0) pattern += '|';
      const std::string atom = any(atoms);
      const std::string repeat = any(repeats);
      pattern += repeat.empty() ? atom : "(?:" + atom + ")" + repeat;
    }
    RE2::Options options;
    options.set_log_errors(false);
    const RE2 reference("(?m)" + pattern, options);
    if (!reference.ok()) continue;
    std::string text;
    // Beside a $ that isn't the pattern's last, the carriage return that it leaves out shows.
    const std::string_view letters = pattern.contains('$') ? "aabb__AB \n\n" : "aabb__AB \n\n\r";
    for (std::size_t i = 0, size = random() % 60; i < size; ++i) text += letters[random() % letters.size()];
    Lines expected;
    for (std::size_t at = 0; at < text.size();) {
      const auto end = std::min(text.find('\n', at), text.size());
      const std::string line = text.substr(at, end - at);
      if (RE2::PartialMatch(line.ends_with('\r') ? line.substr(0, line.size() - 1) : line, reference))
        expected.push_back(line);
      at = end + 1;
    }
    CAPTURE(pattern);
    CAPTURE(text);
    CHECK(lines_of(pattern, text) == expected);
  }
}

TEST_CASE("line_search: a match as long as its line is found, however long that is") {
  const std::string other = "x\n" + std::string(70, 'y') + "\n";
  for (const std::size_t length : {3000u, 4000u, 5000u, 6000u, 10'000u, 100'000u, 1'000'000u}) {
    for (const char* letter : {"b", "\xC3\xA9"}) {
      std::string line;
      while (line.size() < length) line += letter;
      const std::string text = other + line + "\n" + other;
      for (const std::string pattern :
           {"^[^x].{79,}$", "^[^x].{119,}$", "^.{720,}$", ".{800,}", "\\S{1000}", "[^x]{1000}"}) {
        CAPTURE(length);
        CAPTURE(letter);
        CAPTURE(pattern);
        CHECK(lines_of(pattern, text) == Lines{line});
      }
    }
  }
}

TEST_CASE("line_search: a match far from the beginning of a long line is found, whatever its length") {
  std::string line = std::string(60'000, ';') + "\"name\":" + std::string(620, 'x') + "\"version\"";
  line += std::string(60'000, ';');
  CHECK(lines_of("\"name\":.{0,700}\"version\"", line) == Lines{line});
  CHECK(lines_of("\"name\":[^;]*\"version\"", line) == Lines{line});
  CHECK(lines_of("\"name\":.{0,700}\"version\";{900}", line) == Lines{line});
}

TEST_CASE("line_search: what RE2 lacks is said, with what to write instead") {
  struct Row {
    const char* pattern;
    const char* expected;  // part of the error
  };
  const Row rows[] = {
      {"foo(?=bar)", "look-ahead is not supported"},
      {"foo(?!bar)", "negative look-ahead"},
      {"(?<=a)b", "look-behind"},
      {"(?<!a)b", "negative look-behind"},
      {"(a)\\1", "back-references"},
      {"(?<name>a)", "(?P<name>"},
      {"(", "missing )"},
      {"[a", "missing ]"},
      {"a**", "repetition"},
      {"a{1001}", "at most 1000"},
      {"a{1,1001}", "at most 1000"},
      {"a{2,1}b?", "the repetition {2,1} has its bounds the wrong way round"},
      {"((a{100}){100}){100}", "1000"},
      {"a\\Z", "\\z"},
      {"(?P=name)", "back-references"},
      {"\\k<name>", "back-references"},
      {"(?>a)", "atomic groups are not supported nor needed"},
      {"a++", "repetition of a repetition"},
      {"\\pL{1000}", "the pattern is too large"},
      {"(?x)a b", "the flag x"},
      {"a(?i-x:b)", "the flag x"},
      {"[\\b]", "\\x08"},
      {"\\e[0m", "\\x1b"},
      {"(?|a|b)", "(?:"},
      {"(a)?(?(1)b|c)", "conditions"},
      {"[[:foo:]]", "[:alpha:]"},
      {"\\X", "write ."},
      {"\\Na", "write ."},
      {"\\Ga", "write ^"},
      {"\\cA", "\\x01"},
      {"(?R)", "recursion"},
      {"(?:a?){1000}(?:a?){1000}(?:a?){1000}(?:a?){1000}(?:a?){1000}a?", "the pattern is too large"},
  };
  CHECK(LineSearch::compile(std::string(100'000, 'a')).error() ==
        "the pattern has 100000 bytes; at most 16384 are possible");
  for (const auto& row : rows) {
    CAPTURE(row.pattern);
    const auto search = LineSearch::compile(row.pattern);
    REQUIRE_FALSE(search.has_value());
    CHECK_MESSAGE(search.error().find(row.expected) != std::string::npos, search.error());
  }
}

TEST_CASE("line_search: 64 Unicode classes are possible, repeated or written") {
  std::string written;
  for (int i = 0; i < 64; ++i) written += "\\pL";
  const std::string letters = std::string(63, 'a') + "\xC3\xA9";
  CHECK(lines_of(written, letters) == Lines{letters});
  CHECK(lines_of("\\pL{64}", letters) == Lines{letters});
  CHECK_FALSE(LineSearch::compile(written + "\\pL").has_value());
}

TEST_CASE("line_search: what is given to RE2 at once is no more where lines may be crossed") {
  const auto line = LineSearch::compile("[ab]*b[ab]{700}x");
  const auto lines = LineSearch::compile("[ab\n]*b[ab\n]{700}x");
  REQUIRE(line.has_value());
  REQUIRE(lines.has_value());
  CHECK(lines->window() < 2 * line->window());
}

TEST_CASE("line_search: hostile patterns end with an answer or an error") {
  const std::string text = std::string(20'000, 'a') + "\n";
  for (const std::string& pattern :
       {std::string("(a*)*b"), std::string("(a+)+$b"), std::string("(?:a?){500}a{500}"),
        std::string("(x+x+)+y"), std::string(100'000, 'a'),
        std::string(5000, '(') + "a" + std::string(5000, ')'), "(?:" + std::string(99'000, '|') + ")",
        std::string("\\pL{1000}"), std::string("(?i)(?:.{0,30}a){30}")}) {
    const auto search = LineSearch::compile(pattern);
    if (!search) {
      CHECK_FALSE(search.error().empty());
      continue;
    }
    const Deadline deadline;
    WindowLimits limits;
    LineScan scan(*search, text, deadline, limits);
    scan.next();
  }
}
