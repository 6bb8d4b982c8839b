#include "tools/utf16.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace sandbox_worker::tools;

namespace {

using Order = Utf16Decoder::Order;

void take_all(Utf16Decoder& decoder, std::size_t room, bool last, std::string& out) {
  std::string buffer(room, '\0');
  while (const std::size_t got = decoder.take(buffer.data(), room, last)) out += buffer.substr(0, got);
}

std::string decoded(std::string_view text, Order order, std::size_t cut, std::size_t room) {
  Utf16Decoder decoder(order);
  std::string out;
  decoder.put(text.substr(0, cut));
  take_all(decoder, room, false, out);
  decoder.put(text.substr(cut));
  take_all(decoder, room, false, out);
  take_all(decoder, room, true, out);
  return out;
}

}  // namespace

TEST_CASE("utf16: the same text, cut at every byte, whatever room there is for it") {
  struct Row {
    std::u16string text;
    const char* expected;
  };
  const Row rows[] = {
      {u"", ""},
      {u"a\u00E9\u20AC\U0001F600b",
       "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"
       "b"},
      {{u'a', 0xD83D}, "a\xEF\xBF\xBD"},
      {{0xDE00, u'a'},
       "\xEF\xBF\xBD"
       "a"},
      {{0xD83D, 0xD83D, 0xDE00}, "\xEF\xBF\xBD\xF0\x9F\x98\x80"},
  };
  for (const auto& row : rows) {
    std::string little;
    std::string big;
    for (const char16_t c : row.text) {
      little += {static_cast<char>(c & 0xFF), static_cast<char>(c >> 8)};
      big += {static_cast<char>(c >> 8), static_cast<char>(c & 0xFF)};
    }
    for (std::size_t cut = 0; cut <= little.size(); ++cut) {
      for (const std::size_t room : {4u, 5u, 7u, 100u}) {
        CHECK(decoded(little, Order::little, cut, room) == row.expected);
        CHECK(decoded(big, Order::big, cut, room) == row.expected);
        CHECK(decoded(little + 'x', Order::little, cut, room) == row.expected);
      }
    }
  }
}
