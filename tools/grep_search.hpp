#pragma once

#include <cstdint>

#include "tools/deadline.hpp"
#include "tools/line_search.hpp"
#include "tools/ordered_output.hpp"
#include "tools/search_place.hpp"

namespace sandbox_worker::tools {

struct GrepCounts {
  std::uint64_t searched = 0;  // files
  std::uint64_t binary = 0;
  std::uint64_t unreadable = 0;
  std::uint64_t unreadable_directories = 0;
  bool rules_left_out = false;  // some of the files may be ignored
  std::uint64_t in_pieces = 0;  // files in which matches of over `sure` bytes may be missing
  std::size_t sure = kEndless;
  int error = 0;              // why the one file that was named is unreadable
  std::uint64_t ignored = 0;  // only counted in full when nothing was found
  bool more_ignored = false;  // and then there are more than that
};

/// Searches the files of `place` and gives all matching lines to `sink`, in the order of the paths, the same
/// each time. Ends early, with what was found so far, when `deadline` has passed.
GrepCounts grep(const LineSearch& search, const SearchPlace& place, const Deadline& deadline,
                const OrderedOutput::Sink& sink);

}  // namespace sandbox_worker::tools
