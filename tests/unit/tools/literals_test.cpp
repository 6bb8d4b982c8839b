#include "tools/literals.hpp"

#include <doctest/doctest.h>

#include <string>

#include "tools/regex_size.hpp"
#include "tools/regex_tree.hpp"

using namespace sandbox_worker::tools;

namespace {

// Sets of one byte as that byte, others as their size in angle brackets; strings are separated by spaces.
std::string text_of(const RequiredBytes& required) {
  std::string out;
  for (const auto& string : required.any_of) {
    if (!out.empty()) out += ' ';
    for (const auto& set : string) {
      if (set.count() == 1) {
        std::size_t c = 0;
        while (!set[c]) ++c;
        out += static_cast<char>(c);
      } else {
        out += '<' + std::to_string(set.count()) + '>';
      }
    }
  }
  return required.complete ? out + " !" : out;
}

std::string required_in(std::string_view pattern) {
  const auto tree = parse_regex(pattern);
  return tree ? text_of(required_bytes(tree->root)) : "(not understood)";
}

}  // namespace

TEST_CASE("literals: what a match must hold") {
  struct Row {
    const char* pattern;
    const char* expected;  // "!": every place that holds one is a match
  };
  const Row rows[] = {
      {"spin_lock", "spin_lock !"},
      {"TODO|FIXME|XXX", "TODO FIXME XXX !"},
      {"EXPORT_SYMBOL_GPL\\(dev_.*\\)", "EXPORT_SYMBOL_GPL(dev_"},
      {"\\bstruct\\s+\\w+_ops\\b", "<63>_ops"},
      {"[A-Z]{3,}_[0-9]{4,}", "<26><26><26>_<10><10><10><10>"},
      {"(?i)deprecate", "<2><2><2><2><2><2><2><2><2> !"},
      {"^#include <linux/.*\\.h>$", "#include <linux/"},
      {"foo(bar|baz)qux", "foobarqux foobazqux !"},
      {"colou?r_map", "colour_map color_map !"},
      {"(abc)+_xyz", "abc_xyz"},
      {".*", ""},
      {"\\w+\\s*=", ""},
      {"a|b", ""},
      {"foobar|.", ""},
      {"\\Qa.b*c\\E", "a.b*c !"},
      {"\\x41\\x{42}C_\\d", "ABC_<10> !"},
      {"\xC3\xA9t\xC3\xA9", "\xC3\xA9t\xC3\xA9 !"},
      {"(?i:ab_)Zq", "<2><2>_Zq !"},
      {"kernel_(?i)k", "kernel_"},
      {"(?P<name>quux)\\b", "quux"},
      {"a{0}quux", "quux"},
      // $ may take a carriage return, so what is behind it doesn't follow at once.
      {"fooq;$\\nbarq_x", "fooq;"},
      {"quux$", "quux"},
      {"(?:quux|zorg)$", "quux zorg"},
      // In a file that isn't UTF-8 these are one byte.
      {"quux\\xe9", "quux"},
      {"quux\\xFF|zorg", "quux zorg"},
      {"quux\\x{20ac}", "quux\xE2\x82\xAC !"},
      // What stands between a character and its repetition takes no part.
      {"quuxy(?i)*", "quux"},
      {"quuxy\\Q\\E*", "quux"},
      {"\\Qquuxy\\E?", "quuxy quux !"},
      {"(?i)quu\\d", "<2><2><2><10> !"},
      {"(?i)quux\\w", "<2><2><2><2>"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.pattern);
    CHECK(required_in(row.pattern) == row.expected);
  }
}

TEST_CASE("regex_tree: where lines end, whether they may be crossed, and what is plain ASCII") {
  struct Row {
    const char* pattern;
    std::size_t line_ends;
    bool crosses;
    bool ascii;
  };
  const Row rows[] = {
      {"a$", 1, false, true},           {"(a$|b$)", 2, false, true}, {"a\\$[$]\\Q$\\E", 0, false, true},
      {"a\\nb", 0, true, true},         {"(?s)a.b", 0, true, false}, {"[\\n]", 0, true, true},
      {"[^\\n]", 0, false, false},      {"\\s", 0, false, true},     {"a.b", 0, false, false},
      {"(?i)ok", 0, false, false},      {"\\pL", 0, false, false},   {"\\x0a", 0, true, true},
      {"a\nb", 0, true, true},          {"(?-s)a", 0, false, true},  {"a{2,3}$", 1, false, true},
      {"[[:alpha:]]$", 1, false, true},
  };
  for (const auto& row : rows) {
    CAPTURE(row.pattern);
    const auto tree = parse_regex(row.pattern);
    REQUIRE(tree.has_value());
    CHECK(tree->line_ends.size() == row.line_ends);
    CHECK(tree->crosses_lines == row.crosses);
    CHECK(tree->ascii_only == row.ascii);
  }
}

TEST_CASE("regex_tree: parts that may be left out or repeated, multiplied") {
  struct Row {
    const char* pattern;
    std::size_t expected;
  };
  const Row rows[] = {
      {"abc", 0},
      {"a?b*c+", 3},
      {"a{5}", 0},
      {"a{2,5}", 3},
      {"a{2,1}", 0},
      {"(?:a?b*){10}", 20},
      {"(a{1,10}){1,10}", 99},
      {"(?:a?){1000}|b?", 1001},
      {"(?:(?:a?){1000}){1000}", 1'000'000},
      {"(?:(?:(?:(?:a?){1000}){1000}){1000}){1000}", 1'000'000'000},
  };
  for (const auto& row : rows) {
    CAPTURE(row.pattern);
    CHECK(optional_parts(parse_regex(row.pattern)->root) == row.expected);
  }
}

TEST_CASE("regex_tree: deep nesting and strange endings are not understood rather than misread") {
  CHECK_FALSE(parse_regex(std::string(5000, '(') + std::string(5000, ')')));
  for (const char* pattern :
       {"(", "[", "\\", "(?", "(?P<", "[a-", "\\x{", "\\p{", "(?i", "[[:alpha", "\\Q", "a{1,"}) {
    parse_regex(pattern);  // must not read beyond the end
  }
}
