#include "tools/between_marks.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>

using sandbox_worker::tools::BetweenMarks;

namespace {

/// What comes of a stream that is cut into pieces of `size` bytes.
void feed(BetweenMarks& texts, std::string_view stream, std::size_t size) {
  for (; !stream.empty(); stream.remove_prefix(std::min(size, stream.size())))
    texts.feed(stream.substr(0, size));
}

}  // namespace

TEST_CASE("between marks: texts of a stream, however it is cut") {
  for (std::size_t size = 1; size <= 12; ++size) {
    CAPTURE(size);
    BetweenMarks texts(10);
    CHECK(texts.text() == "");
    CHECK_FALSE(texts.expects());
    texts.expect("m1;");
    feed(texts, "junk m m1;one", size);
    CHECK(texts.expects());
    CHECK(texts.text() == "");
    feed(texts, "m1;", size);
    CHECK_FALSE(texts.expects());
    CHECK(texts.text() == "one");
    texts.expect("m2;");
    feed(texts, "m2;m2;", size);
    CHECK(texts.text() == "");
    texts.expect("m3;");
    feed(texts, "m3;exactly 10m3;", size);
    CHECK(texts.text() == "exactly 10");
    texts.expect("m3;");
    feed(texts, "m3;more than 10m3;", size);
    CHECK(texts.text() == std::nullopt);
    texts.expect("m4;");
    feed(texts, "m4;" + std::string(40, 'x') + "m4;", size);
    CHECK(texts.text() == std::nullopt);
    texts.expect("m5;");
    feed(texts, "m5;fivem5;", size);
    CHECK(texts.text() == "five");
  }
}

TEST_CASE("between marks: what comes with the end of a text belongs to the next one") {
  BetweenMarks texts(10);
  texts.expect("m1;");
  texts.feed("m1;onem1;m2;two");
  CHECK(texts.text() == "one");
  texts.expect("m2;");
  CHECK(texts.expects());
  texts.feed("m2;m3;threem3;");
  CHECK(texts.text() == "two");
  texts.expect("m3;");
  CHECK_FALSE(texts.expects());
  CHECK(texts.text() == "three");
}

TEST_CASE("between marks: a text that is cut isn't taken, and the next one is") {
  BetweenMarks texts(10);
  texts.expect("m1;");
  texts.feed("m1;one");
  texts.expect("m2;");
  texts.feed(" more m2;twom2;");
  CHECK(texts.text() == "two");
}
