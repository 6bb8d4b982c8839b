#include "tools/utf8.hpp"

#include <doctest/doctest.h>

using namespace sandbox_worker::tools;

TEST_CASE("utf8: invalid bytes are replaced and everything else is kept") {
  struct Row {
    std::string_view bytes;
    std::string_view text;
  };
  for (const auto& row : {
           Row{"", ""},
           Row{"plain", "plain"},
           Row{"gr\xC3\xBC\xC3\x9F", "gr\xC3\xBC\xC3\x9F"},
           Row{"\xE2\x82\xAC \xF0\x9F\x98\x80", "\xE2\x82\xAC \xF0\x9F\x98\x80"},
           Row{"a\xFFz", "a\xEF\xBF\xBDz"},
           Row{"\xC0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD"},
           Row{"\xE2\x82", "\xEF\xBF\xBD"},
           Row{"\xE2\x82z", "\xEF\xBF\xBDz"},
           Row{"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
           Row{"\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
       })
    CHECK(to_valid_utf8(row.bytes) == row.text);
}

TEST_CASE("utf8: characters are counted and cut whole") {
  const std::string_view text = "a\xC3\xBC\xE2\x82\xAC\xF0\x9F\x98\x80z";
  CHECK(count_code_points(text) == 5);
  CHECK(prefix_bytes(text, 0) == 0);
  CHECK(prefix_bytes(text, 2) == 3);
  CHECK(prefix_bytes(text, 4) == 10);
  CHECK(prefix_bytes(text, 9) == text.size());
}
