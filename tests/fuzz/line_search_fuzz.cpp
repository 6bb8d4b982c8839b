// The first line is a regular expression, the rest a text. With the prefilter or without, the same lines
// match.
#include <re2/re2.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "tools/line_search.hpp"
#include "tools/regex_tree.hpp"

using namespace sandbox_worker::tools;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto newline = input.find('\n');
  if (newline == std::string_view::npos || newline > 200) return 0;
  const std::string_view pattern = input.substr(0, newline);
  const std::string_view text = input.substr(newline + 1);
  const auto search = LineSearch::compile(pattern);
  if (!search) return 0;
  const Deadline deadline;
  WindowLimits limits;
  LineScan scan(*search, text, deadline, limits);
  std::size_t hits = 0;
  while (scan.next()) ++hits;
  const auto tree = parse_regex(pattern);
  const bool plain = std::ranges::all_of(text, [](char c) { return c > 0 && c != '\r'; });
  if (!tree || tree->crosses_lines || !tree->ascii_only || !plain) return 0;
  RE2::Options options;
  options.set_log_errors(false);
  options.set_never_nl(true);
  const RE2 reference("(?m)" + std::string(pattern), options);
  if (!reference.ok()) return 0;
  std::size_t expected = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    const std::string line(text.substr(at, end - at));
    if (RE2::PartialMatch(line, reference)) ++expected;
    at = end + 1;
  }
  if (hits != expected) std::abort();
  return 0;
}
