#include "tools/glob_pattern.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using sandbox_worker::tools::GlobCursor;
using sandbox_worker::tools::GlobPattern;
using sandbox_worker::tools::split_literal_directories;

namespace {

bool matches(std::string_view pattern, std::string_view path) {
  const auto compiled = GlobPattern::compile(pattern);
  REQUIRE_MESSAGE(compiled.has_value(), pattern);
  return compiled->matches(path);
}

std::vector<std::string> components_of(std::string_view path) {
  std::vector<std::string> out{""};
  for (const char c : path) {
    if (c == '/') {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

bool naive_component(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern[0] == '\\') {
    return !name.empty() && pattern[1] == name[0] && naive_component(pattern.substr(2), name.substr(1));
  }
  if (pattern[0] == '[') {
    const auto close = pattern.find(']', 1);
    const bool inverted = pattern[1] == '!';
    const auto set = pattern.substr(inverted ? 2 : 1, close - (inverted ? 2 : 1));
    return !name.empty() && (set.find(name[0]) == std::string_view::npos) == inverted &&
           naive_component(pattern.substr(close + 1), name.substr(1));
  }
  if (pattern[0] == '*') {
    return naive_component(pattern.substr(1), name) ||
           (!name.empty() && naive_component(pattern, name.substr(1)));
  }
  return !name.empty() && (pattern[0] == '?' || pattern[0] == name[0]) &&
         naive_component(pattern.substr(1), name.substr(1));
}

bool is_globstar(const std::string& component) {
  return component.size() > 1 && component.find_first_not_of('*') == std::string::npos;
}

// Component by component, as the words of the header say it.
bool naive(const std::vector<std::string>& pattern, const std::vector<std::string>& path, std::size_t p = 0,
           std::size_t t = 0) {
  if (p == pattern.size()) return t == path.size();
  if (is_globstar(pattern[p])) {
    if (p + 1 == pattern.size()) return t < path.size();
    return naive(pattern, path, p + 1, t) || (t < path.size() && naive(pattern, path, p, t + 1));
  }
  return t < path.size() && naive_component(pattern[p], path[t]) && naive(pattern, path, p + 1, t + 1);
}

void add_strings(std::vector<std::string>& out, const std::vector<std::string>& letters,
                 const std::string& so_far, std::size_t length) {
  out.push_back(so_far);
  if (length == 0) return;
  for (const auto& letter : letters) add_strings(out, letters, so_far + letter, length - 1);
}

bool is_path(const std::string& path) {
  return !path.empty() && path.front() != '/' && path.back() != '/' && path.find("//") == std::string::npos;
}

}  // namespace

TEST_CASE("glob_pattern: what each form matches") {
  struct Row {
    const char* pattern;
    const char* path;
    bool expected;
  };
  const Row rows[] = {
      {"*.h", "a.h", true},
      {"*.h", ".h", true},
      {"*.h", "a/b.h", false},
      {"*", ".hidden", true},
      {"**/*.h", "a.h", true},
      {"**/*.h", "a/b/c.h", true},
      {"**/*.h", "a/b/c.hh", false},
      {"a/**", "a/b/c", true},
      {"a/**", "a", false},
      {"**", "a/b", true},
      {"a/**/b", "a/b", true},
      {"a/**/b", "a/x/y/b", true},
      {"a/**/b", "ab", false},
      {"a/**/b", "a/xb", false},
      {"a**b", "axxb", true},
      {"a**b", "a/b", false},
      {"a/**/**/b", "a/b", true},
      {"a?c", "abc", true},
      {"a?c", "a/c", false},
      {"?", "\xC3\xA9", true},
      {"??", "\xC3\xA9", false},
      {"?", "\xFF", true},
      {"[[:alpha:]]", "x", true},
      {"[[:alpha:]]", "1", false},
      {"[[:alpha:]]", ":", false},
      {"[![:alpha:]_]", "1", true},
      {"[![:alpha:]_]", "_", false},
      {"[[:digit:][:upper:]a-c]x", "Bx", true},
      {"[[:digit:][:upper:]a-c]x", "dx", false},
      {"[[:alpha]", ":", true},
      {"[[:]", "[", true},
      {"[[:]]", ":]", true},
      {"[a-c]", "b", true},
      {"[!a-c]", "b", false},
      {"[^a-c]", "d", true},
      {"[!a]", "/", false},
      {"x[!a]y", "x/y", false},
      {"[]a]", "]", true},
      {"[a-]", "-", true},
      {"[\\]]", "]", true},
      {"[\xC3\xA0-\xC3\xBF]", "\xC3\xA9", true},
      {"[!\xC3\xA9]", "\xC3\xA9", false},
      {"\\*", "*", true},
      {"\\*", "a", false},
      {"\\{a,b\\}", "{a,b}", true},
      {"{a,b}", "b", true},
      {"{a,b}", "c", false},
      {"{a,b{c,d}}x", "bdx", true},
      {"{a,b{c,d}}x", "bx", false},
      {"{,a}b", "b", true},
      {"{,a}b", "ab", true},
      {"a,b", "a,b", true},
      {"a}b", "a}b", true},
      {"**/{Kconfig,Makefile}", "Makefile", true},
      {"**/{Kconfig,Makefile}", "x/y/Kconfig", true},
      {"{src,test}/**/*.c", "test/a/b.c", true},
      {"{**,src}/x", "a/b/x", true},
      {"{**,src}/x", "x", true},
      {"{**/,}x", "a/x", true},
      {"{a/**,b}", "a/x/y", true},
      {"{a/**,b}", "b", true},
      {"a/{**/b,c}", "a/x/b", true},
      {"a/{**/b,c}", "a/b", true},
  };
  for (const auto& row : rows) {
    CAPTURE(row.pattern);
    CAPTURE(row.path);
    CHECK(matches(row.pattern, row.path) == row.expected);
  }
}

TEST_CASE("glob_pattern: agrees with a naive matcher on every small pattern and path") {
  struct Letters {
    std::vector<std::string> of_patterns;
    std::vector<std::string> of_paths;
    std::size_t length;
  };
  const Letters all[] = {
      {{"a", "/", ".", "*", "?"}, {"a", ".", "/"}, 5},
      {{"a", "b", "[ab]", "[!a]", "\\*", "*", "/", "**"}, {"a", "b", "*", "/"}, 4},
  };
  for (const auto& letters : all) {
    std::vector<std::string> patterns;
    add_strings(patterns, letters.of_patterns, "", letters.length);
    std::vector<std::string> paths;
    add_strings(paths, letters.of_paths, "", 5);
    std::erase_if(paths, [](const auto& path) { return !is_path(path); });
    std::vector<std::vector<std::string>> path_components;
    for (const auto& path : paths) path_components.push_back(components_of(path));
    int wrong = 0;
    for (const auto& pattern : patterns) {
      if (!is_path(pattern)) continue;
      const auto compiled = GlobPattern::compile(pattern);
      REQUIRE(compiled.has_value());
      const auto parts = components_of(pattern);
      for (std::size_t i = 0; i < paths.size(); ++i) {
        if (compiled->matches(paths[i]) == naive(parts, path_components[i])) continue;
        if (++wrong < 10) MESSAGE(pattern << " on " << paths[i]);
      }
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("glob_pattern: braces mean what their expansions mean") {
  const std::vector<std::string> choices[] = {
      {"a", "b*"}, {"", "a"}, {"a/", ""}, {"**", "a"}, {"*", "a/**"}, {"?", "[!a]"},
  };
  const std::string around[][2] = {{"", ""}, {"a/", ""}, {"", "/a"}, {"b/", "/b"}, {"", "a"}, {"x", "/b"}};
  std::vector<std::string> paths;
  add_strings(paths, {"a", "b", "/", "x"}, "", 5);
  std::erase_if(paths, [](const auto& path) { return !is_path(path); });
  for (const auto& choice : choices) {
    for (const auto& [before, after] : around) {
      const std::string pattern = before + "{" + choice[0] + "," + choice[1] + "}" + after;
      for (const auto& path : paths) {
        const bool expected =
            matches(before + choice[0] + after, path) || matches(before + choice[1] + after, path);
        CHECK_MESSAGE(matches(pattern, path) == expected, pattern, " on ", path);
      }
    }
  }
}

TEST_CASE("glob_pattern: a cursor goes only where a match is possible") {
  struct Row {
    const char* pattern;
    const char* directory;  // with its slash
    const char* name;
    bool expected;
  };
  const Row rows[] = {
      {"*.h", "", "src", false},       {"src/*.h", "", "src", true},    {"src/*.h", "", "lib", false},
      {"src/*.h", "src/", "x", false}, {"**/*.h", "a/b/", "c", true},   {"a/**/b/*.c", "a/x/", "y", true},
      {"{a,b}/c/*", "b/", "c", true},  {"{a,b}/c/*", "b/", "d", false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.pattern);
    CAPTURE(row.directory);
    const auto pattern = GlobPattern::compile(row.pattern);
    GlobCursor cursor(*pattern);
    cursor.enter(row.directory);
    CHECK(cursor.may_contain(row.name) == row.expected);
  }
}

TEST_CASE("glob_pattern: what can't be understood is an error that says why") {
  for (const char* pattern : {"{a,b", "[abc", "a\\", "{a,[b}"}) CHECK_FALSE(GlobPattern::compile(pattern));
  CHECK_FALSE(GlobPattern::compile(std::string(100'000, 'a')));
  CHECK_FALSE(GlobPattern::compile(std::string(2000, '{') + std::string(2000, '}')));
}

TEST_CASE("glob_pattern: hostile patterns end") {
  std::string stars;
  for (int i = 0; i < 1000; ++i) stars += "*a";
  CHECK_FALSE(matches(stars + "b", std::string(255, 'a')));
  std::string braces;
  for (int i = 0; i < 30; ++i) braces += "{a,b}";
  CHECK(matches(braces, std::string(15, 'a') + std::string(15, 'b')));
  std::string optional;
  for (int i = 0; i < 1000; ++i) optional += "{,a}";
  const auto compiled = GlobPattern::compile(optional);
  if (compiled) CHECK(compiled->matches(std::string(255, 'a')));
  std::string deep;
  for (int i = 0; i < 600; ++i) deep += "**/a*/";
  CHECK_FALSE(matches(deep + "b", std::string(100, 'a')));
}

TEST_CASE("glob_pattern: the literal directories in front are split off") {
  struct Row {
    const char* pattern;
    const char* directories;
    const char* rest;
  };
  const Row rows[] = {
      {"*.c", "", "*.c"},
      {"src/*.c", "src/", "*.c"},
      {"src/lib/a.c", "src/lib/", "a.c"},
      {"/w/src/**", "/w/src/", "**"},
      {"s\\*c/a/*", "s*c/a/", "*"},
      {"a/{b,c}/d", "a/", "{b,c}/d"},
      {"src/", "src/", ""},
  };
  for (const auto& row : rows) {
    const auto [directories, rest] = split_literal_directories(row.pattern);
    CHECK(directories == row.directories);
    CHECK(rest == row.rest);
  }
}
