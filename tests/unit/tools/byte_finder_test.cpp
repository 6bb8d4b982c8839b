#include "tools/byte_finder.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

using namespace sandbox_worker::tools;

namespace {

ByteString bytes_of(std::string_view text) {
  ByteString out;
  for (const char c : text) out.emplace_back().set(static_cast<unsigned char>(c));
  return out;
}

std::vector<std::size_t> naive_places(const std::vector<std::string>& strings, std::string_view text) {
  std::vector<std::size_t> out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (const auto& string : strings) {
      if (text.substr(at).starts_with(string)) {
        out.push_back(at);
        break;
      }
    }
  }
  return out;
}

}  // namespace

TEST_CASE("byte_finder: finds a string at every place of a text, and nothing else") {
  for (std::size_t length = 1; length <= 6; ++length) {
    const std::string needle = std::string("qzxjkv").substr(0, length);
    const ByteFinder finder({bytes_of(needle)});
    for (std::size_t size = length; size < 140; size += 3) {
      for (std::size_t at = 0; at + length <= size; ++at) {
        std::string text(size, 'a');
        text.replace(at, length, needle);
        CHECK(finder.find(text, 0) == at);
        CHECK(finder.find(text, at + 1) == ByteFinder::npos);
      }
    }
  }
}

TEST_CASE("byte_finder: many strings on random text, line by line as a naive search") {
  std::mt19937 random(7);
  const auto letter = [&] { return static_cast<char>("abcd\n"[random() % 5]); };
  for (int round = 0; round < 300; ++round) {
    std::vector<std::string> strings;
    std::vector<ByteString> sets;
    for (std::size_t i = 0, count = 1 + random() % 20; i < count; ++i) {
      std::string string;
      for (std::size_t j = 0, size = 1 + random() % 6; j < size; ++j)
        string += static_cast<char>("abcd"[random() % 4]);
      sets.push_back(bytes_of(string));
      strings.push_back(std::move(string));
    }
    std::string text;
    for (std::size_t i = 0, size = random() % 200; i < size; ++i) text += letter();
    const ByteFinder finder(sets);
    std::vector<std::size_t> lines;
    for (std::size_t at = 0; (at = finder.find(text, at)) != ByteFinder::npos;) {
      lines.push_back(text.rfind('\n', at) + 1);
      at = std::min(text.find('\n', at), text.size());
    }
    std::vector<std::size_t> expected;
    for (const auto at : naive_places(strings, text)) {
      const auto line = text.rfind('\n', at) + 1;
      if (expected.empty() || expected.back() != line) expected.push_back(line);
    }
    CHECK(lines == expected);
  }
}
