#include "tools/text_search.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

using namespace sandbox_worker::tools;

namespace {

constexpr std::size_t kPiece = 1024 * 1024;

// Lines, and where in them the match is.
using Hits = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

// For a CHECK to print them.
std::string text_of(const Hits& hits) {
  std::string out;
  for (const auto& [line, at] : hits) out += fmt::format("{}:{} ", line, at);
  return out;
}

/// What is found in `text` when it comes through a buffer of `size` bytes.
Hits hits_in(std::string_view pattern, std::string_view text, std::size_t size = kPiece) {
  const auto search = LineSearch::compile(pattern).value();
  const Deadline deadline;
  Hits hits;
  const TextSearch::OnHit on_hit = [&](const FileHit& hit) {
    hits.emplace_back(hit.line, hit.before + hit.match_begin);
  };
  TextSearch searching(search, deadline, on_hit);
  for (std::size_t at = 0; at < text.size();) {
    const auto piece = text.substr(at, size);
    const bool last = at + piece.size() == text.size();
    if (!last) REQUIRE_FALSE(searching.wants_more(piece));
    at += searching.run(piece, last);
  }
  return hits;
}

}  // namespace

TEST_CASE("text_search: a match is found at every place around the border of two pieces") {
  for (const std::size_t before : {kPiece - 64 * 1024, kPiece}) {
    for (std::size_t shift = 0; shift <= 24; ++shift) {
      const std::size_t at = before + 8 - shift;
      CAPTURE(at);
      const std::string text = std::string(at, 'x') + "secret_token" + std::string(100'000, 'y') + "\nz\n";
      CHECK(text_of(hits_in("secret_token", text)) == text_of(Hits{{1, at}}));
      CHECK(text_of(hits_in("s\\w{3}et_t", text)) == text_of(Hits{{1, at}}));
      CHECK(text_of(hits_in("z", text)) == text_of(Hits{{2, 0}}));
    }
  }
}

TEST_CASE("text_search: the border of two pieces is no edge of a line or word") {
  for (const std::size_t before : {kPiece - 64 * 1024, kPiece}) {
    for (std::size_t shift = 0; shift <= 12; ++shift) {
      const std::string text =
          std::string(before + 6 - shift, 'z') + "use" + std::string(3 * kPiece, 'z') + '\n';
      CAPTURE(before + 6 - shift);
      for (const char* pattern : {"^use", "^z?use", "use$", "u$", "\\buse", "us\\b", "\\Ause", "\\Au", "u\\z",
                                  "z\\b.", "(?-m)^(u|s|e)"}) {
        CAPTURE(pattern);
        CHECK(hits_in(pattern, text).empty());
      }
      CHECK(text_of(hits_in("z$", text)) == text_of(Hits{{1, text.size() - 2}}));
    }
  }
}

TEST_CASE("text_search: a piece ends between two characters") {
  for (std::size_t shift = 0; shift <= 3; ++shift) {
    std::string text = std::string(shift, 'x');
    while (text.size() < kPiece + 100'000) text += "\xE2\x82\xAC";
    CAPTURE(shift);
    CHECK(hits_in("^x*(\xE2\x82\xAC)+y", text + "y").empty());  // longer than what is seen at once
    CHECK(text_of(hits_in("\xE2\x82\xAC{90}y", text + "y\n")) == text_of(Hits{{1, text.size() - 270}}));
    CHECK(hits_in("[^x\xE2\x82\xAC]", text + "\n").empty());
    CHECK(text_of(hits_in("z.?$", text + "z\xE2\x82\xAC\nz")) == text_of(Hits{{1, text.size()}, {2, 0}}));
  }
}

TEST_CASE("text_search: a line of many pieces is one hit, and those behind it keep their numbers") {
  const std::string x(700'000, 'x');
  const std::string text = "1\n" + x + "needle" + x + "needle" + x + "needle" + x + "\nneedle\n4\nneedle";
  CHECK(text_of(hits_in("needle", text)) == text_of(Hits{{2, x.size()}, {3, 0}, {5, 0}}));
  CHECK(text_of(hits_in("n[e]+dle", text)) == text_of(Hits{{2, x.size()}, {3, 0}, {5, 0}}));
  CHECK(text_of(hits_in("^4", text)) == text_of(Hits{{4, 0}}));
}

TEST_CASE("text_search: over lines, a match is found at every place around the border, and given once") {
  constexpr std::size_t kPieceOverLines = 4 * kPiece;
  const std::string line = std::string(99, 'x') + '\n';
  std::string lines;
  while (lines.size() < kPieceOverLines - 100) lines += line;
  const auto count = lines.size() / line.size();
  for (std::size_t extra = 0; extra <= 120; extra += 5) {
    CAPTURE(extra);
    std::string text = lines + std::string(extra, 'x') + "begin\nend\n";
    for (int i = 0; i < 20'000; ++i) text += line;
    text += "begin\nend\n";
    CHECK(text_of(hits_in("begin\\nend", text, kPieceOverLines)) ==
          text_of(Hits{{count + 1, extra}, {count + 20'003, 0}}));
    CHECK(text_of(hits_in("begin$\\n^end", text, kPieceOverLines)) ==
          text_of(Hits{{count + 1, extra}, {count + 20'003, 0}}));
  }
  CHECK(hits_in("x\\n", lines + line + line, kPieceOverLines).size() == count + 2);
}
