// grep as a whole against a search that goes line by line, with nothing but RE2, over random small trees.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <re2/re2.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/support/search_tools.hpp"
#include "tools/grep.hpp"
#include "tools/match_text.hpp"
#include "tools/utf8_step.hpp"

using namespace sandbox_worker::tools;
using sandbox_worker::testing::SearchTools;

namespace {

/// Both engines of a pattern, for lines that are UTF-8 and for those that aren't.
class NaiveSearch {
 public:
  explicit NaiveSearch(const std::string& pattern)
      : text_("(?m)" + pattern, options(RE2::Options::EncodingUTF8)),
        bytes_("(?m)" + pattern, options(RE2::Options::EncodingLatin1)) {}

  bool ok() const { return text_.ok() && bytes_.ok(); }

  bool matches(const std::string& line) const {
    const RE2& regex = valid_utf8_prefix(line) == line.size() ? text_ : bytes_;
    // A line's carriage return is no part of it, as no pattern here names it.
    return RE2::PartialMatch(line.ends_with('\r') ? line.substr(0, line.size() - 1) : line, regex);
  }

 private:
  static RE2::Options options(RE2::Options::Encoding encoding) {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_encoding(encoding);
    return options;
  }

  RE2 text_;
  RE2 bytes_;
};

std::string naive(const std::map<std::string, std::string>& files, const NaiveSearch& search) {
  std::string out;
  for (const auto& [path, text] : files) {
    std::size_t number = 1;
    for (std::size_t at = 0; at < text.size(); ++number) {
      const auto end = std::min(text.find('\n', at), text.size());
      std::string line = text.substr(at, end - at);
      at = end + 1;
      if (!search.matches(line)) continue;
      if (line.ends_with('\r')) line.pop_back();
      out += fmt::format("{}:{}:", path, number);
      append_valid_utf8(out, line);
      out += '\n';
    }
  }
  return out;
}

}  // namespace

TEST_CASE("grep: agrees with a naive search, on random trees and patterns") {
  std::mt19937 random(23);
  const auto any = [&](const auto& list) -> const auto& { return list[random() % list.size()]; };
  const std::vector<std::string> pieces = {"a",  "b",    "ab",       "_",    "A",       "B",       " ", "\n",
                                           "\n", "\r\n", "\xC3\xA9", "\xFF", "foo_bar", "FOO_BAR", "\r"};
  const std::vector<std::string> names = {"a", "b", "a.c", "a-b", "d/a", "d/e/f", "d.x", "\xC3\xA9", "d0/x"};
  const std::vector<std::string> atoms = {
      "a",   "b",    "ab",  "_",       "[ab]",     "[^a]", ".",       "\\w",       "\\b",         "^",
      "foo", "\\pL", "\\s", "(?i:ab)", "\xC3\xA9", "\\d",  "foo_bar", "(?i)foo_b", "[[:upper:]]", "fo+_|AB"};
  const std::vector<std::string> repeats = {"", "", "", "", "*", "+", "?", "{2}"};
  SearchTools tree;
  for (int round = 0; round < 150; ++round) {
    std::map<std::string, std::string> files;
    for (const auto& name : names) {
      std::string text;
      for (std::size_t i = 0, count = random() % 30; i < count; ++i) text += any(pieces);
      tree.write(name, text);
      files[name] = text;
    }
    for (int tried = 0; tried < 6; ++tried) {
      std::string pattern;
      for (std::size_t i = 0, count = 1 + random() % 4; i < count; ++i) {
        if (i > 0 && random() % 6 == 0) pattern += random() % 3 == 0 ? "$|" : "|";
        const std::string& repeat = any(repeats);
        pattern += repeat.empty() ? any(atoms) : "(?:" + any(atoms) + ")" + repeat;
      }
      // Only at the end of a line: what follows the end doesn't see that a carriage return was left out.
      if (random() % 4 == 0) pattern += '$';
      const NaiveSearch reference(pattern);
      if (!reference.ok()) continue;
      const std::string expected = naive(files, reference);
      const Grep tool(tree.options);
      const std::string found = tree.relative(SearchTools::text_of(tool.search(pattern, ".", {})));
      CAPTURE(pattern);
      // Advice may follow where nothing was found.
      if (expected.empty())
        CHECK(found.starts_with("(no matches in 9 files)"));
      else
        CHECK(found == expected);
    }
  }
}
