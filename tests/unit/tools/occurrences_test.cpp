#include "tools/occurrences.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <random>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

#include "tests/support/cpu_time.hpp"

using namespace sandbox_worker::tools;
using sandbox_worker::testing::cpu_time;

namespace {

Occurrences naive(std::string_view text, std::string_view wanted, std::size_t step) {
  Occurrences found;
  for (auto at = text.find(wanted); at != std::string_view::npos; at = text.find(wanted, at + step)) {
    if (found.first.size() < Occurrences::kMaxFirst) found.first.push_back(at);
    ++found.count;
  }
  return found;
}

void check_as_naive(std::string_view text, std::string_view wanted) {
  const auto all = find_all(text, wanted, {});
  const auto all_naive = naive(text, wanted, 1);
  const bool same = all.count == all_naive.count && all.first == all_naive.first;
  CHECK_MESSAGE(same, wanted, " in ", text);
  const auto apart = find_apart(text, wanted, {});
  const auto apart_naive = naive(text, wanted, wanted.size());
  const bool same_apart = apart.count == apart_naive.count && apart.first == apart_naive.first;
  CHECK_MESSAGE(same_apart, wanted, " in ", text);
}

/// Every text of this length of the letters a and b.
std::string letters(unsigned bits, unsigned length) {
  std::string text;
  for (unsigned i = 0; i < length; ++i) text += (bits >> i & 1U) != 0 ? 'b' : 'a';
  return text;
}

std::string repeated(std::string_view part, std::size_t size) {
  std::string text;
  while (text.size() < size) text += part;
  text.resize(size);
  return text;
}

}  // namespace

TEST_CASE("occurrences: every short text is found in every other as a naive search finds it") {
  for (unsigned length = 1; length <= 5; ++length)
    for (unsigned bits = 0; bits < 1U << length; ++bits)
      for (unsigned in = 0; in < 1U << 10; ++in) check_as_naive(letters(in, 10), letters(bits, length));
}

TEST_CASE("occurrences: texts that repeat themselves, with a slip here and there, are all found") {
  std::mt19937 random(7);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
  for (int i = 0; i < 20'000; ++i) {
    const auto part = letters(static_cast<unsigned>(random()), static_cast<unsigned>(1 + below(9)));
    auto text = repeated(part, 1 + below(300));
    for (auto slips = below(4); slips > 0; --slips) text[below(text.size())] = 'b';
    const auto begin = below(text.size());
    check_as_naive(text, text.substr(begin, 1 + below(text.size() - begin)));
    check_as_naive(text, repeated(part, 1 + below(60)));
  }
}

TEST_CASE("occurrences: what lies across two blocks of the search is found") {
  constexpr std::size_t kBlock = 4 * 1024 * 1024;
  for (const std::size_t at : {kBlock - 3, kBlock - 2, kBlock - 1, kBlock, 2 * kBlock - 2}) {
    std::string text(2 * kBlock + 1, '.');
    text.replace(at, 3, "abc");
    text.resize(2 * kBlock + 1);
    CHECK(find_from(text, "abc", 0, {}) == at);
    CHECK(find_from(text, "abc", at, {}) == at);
    CHECK(find_from(text, "abc", at + 1, {}) == std::string_view::npos);
    CHECK(find_all(text, "abc", {}).count == 1);
  }
  CHECK(find_from("abc", "abcd", 0, {}) == std::string_view::npos);
  CHECK(find_from("abc", "c", 3, {}) == std::string_view::npos);
  CHECK(find_from("abc", "c", 4, {}) == std::string_view::npos);
}

TEST_CASE("occurrences: millions of places that overlap are counted in the time of one search") {
  const auto begin = cpu_time();
  constexpr std::size_t kSize = 8'000'000;
  const std::string row(kSize, '0');
  CHECK(find_all(row, std::string(50'000, '0'), {}).count == kSize - 50'000 + 1);
  // One that overlaps itself by its half only, and one that does so nearly everywhere.
  const auto half = std::string(25'000, '0') + '1';
  CHECK(find_all(repeated(half, kSize), half + half, {}).count == kSize / half.size() - 1);
  const auto slip = std::string(25'000, '0') + '1' + std::string(24'999, '0');
  CHECK(find_all(repeated(half, kSize), slip, {}).count == kSize / half.size() - 1);
  CHECK(find_all(row, slip, {}).count == 0);
  CHECK(cpu_time() - begin < std::chrono::seconds(20));
}

TEST_CASE("occurrences: a stop in the middle of a search ends it") {
  const std::string row(8'000'000, '0');
  std::stop_source stop;
  std::atomic<bool> begun = false;
  const std::jthread stopper([&] {
    begun.wait(false);
    stop.request_stop();
  });
  begun = true;
  begun.notify_one();
  std::size_t count = row.size();
  for (int round = 0; round < 100 && count == row.size(); ++round)
    count = find_all(row, "0", stop.get_token()).count;
  CHECK(count < row.size());
}

TEST_CASE("occurrences: asked to stop, nothing more is found") {
  std::stop_source stop;
  stop.request_stop();
  CHECK(find_from("abc", "b", 0, stop.get_token()) == std::string_view::npos);
  CHECK(find_all("abab", "b", stop.get_token()).count == 0);
  CHECK(find_apart("abab", "b", stop.get_token()).count == 0);
}
