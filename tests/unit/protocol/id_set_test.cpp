#include "protocol/id_set.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>

using namespace sandbox_worker::protocol;

TEST_CASE("siphash: the vectors of its authors") {
  const HashKey key{0x0706050403020100U, 0x0f0e0d0c0b0a0908U};
  std::string bytes;
  for (char c = 0; c < 63; ++c) bytes.push_back(c);
  struct Row {
    std::size_t length;
    Hash128 hash;
  };
  const Row rows[] = {
      {0, {0xe6a825ba047f81a3U, 0x930255c71472f66dU}},  {1, {0x44af996bd8c187daU, 0x45fc229b11597634U}},
      {7, {0x53c1dbd8beebf1a1U, 0x3982f01fa64ab8c0U}},  {8, {0x61f55862baa9623bU, 0xb49714f364e2830fU}},
      {15, {0x11a8b03399e99354U, 0xd9c3cf970fec087eU}}, {63, {0x4a83502f77d15051U, 0x7cbd3f979a063e50U}},
  };
  for (const auto& row : rows) {
    CAPTURE(row.length);
    CHECK(siphash(key, std::string_view(bytes).substr(0, row.length)) == row.hash);
  }
}

TEST_CASE("id set: does as a set of the ids does") {
  std::mt19937 random(7);
  IdSet ids({random(), random()});
  std::set<std::string> naive;
  for (int i = 0; i < 50'000; ++i) {
    const auto id = "sevt_" + std::to_string(random() % 700);
    switch (random() % 3) {
      case 0:
        REQUIRE(ids.insert(id) == naive.insert(id).second);
        break;
      case 1:
        REQUIRE(ids.erase(id) == (naive.erase(id) == 1));
        break;
      default:
        REQUIRE(ids.contains(id) == naive.contains(id));
    }
    REQUIRE(ids.size() == naive.size());
  }
}

TEST_CASE("id set: 64 bytes an id at most, at any size, also while it grows") {
  IdSet ids({1, 2});
  std::size_t before = 0;
  for (std::size_t count = 1; count <= 100'000; ++count) {
    // Ids of the longest form: their length costs nothing.
    ids.insert(std::string(500, 'x') + std::to_string(count));
    const bool grew = ids.bytes() != before;
    const std::size_t peak = ids.bytes() + (grew ? before : 0);
    if (count >= 12) REQUIRE_MESSAGE(peak <= 64 * count, "with ", count, " ids: ", peak);
    before = ids.bytes();
  }
  CHECK(ids.size() == 100'000);
}
