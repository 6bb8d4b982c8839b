#pragma once

#include <cstddef>
#include <stop_token>
#include <string_view>
#include <vector>

namespace sandbox_worker::tools {

/// Where a text is found in another. There can be millions of places: only the first ones are kept.
struct Occurrences {
  static constexpr std::size_t kMaxFirst = 3;

  std::size_t count = 0;
  std::vector<std::size_t> first;  // offsets, ascending
};

// All of these take time that grows with `text` alone, also where both were made to be slow, such as a long
// row of one letter. `wanted` is not empty. Asked to stop, they end soon, with what was found until then.

/// The first place at `at` or behind it, npos when there is none.
std::size_t find_from(std::string_view text, std::string_view wanted, std::size_t at,
                      const std::stop_token& stop);

/// Those that don't overlap: each is looked for behind the end of the one before.
Occurrences find_apart(std::string_view text, std::string_view wanted, const std::stop_token& stop);

/// All, also those that overlap.
Occurrences find_all(std::string_view text, std::string_view wanted, const std::stop_token& stop);

}  // namespace sandbox_worker::tools
