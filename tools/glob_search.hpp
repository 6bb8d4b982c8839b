#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tools/deadline.hpp"
#include "tools/glob_pattern.hpp"
#include "tools/search_place.hpp"
#include "tools/workspace.hpp"

namespace sandbox_worker::tools {

/// Since 1970. Nanoseconds alone would hold no time after 2262, which a file may have.
struct FileTime {
  std::int64_t seconds;
  std::uint32_t nanoseconds;
  auto operator<=>(const FileTime&) const = default;
};

struct GlobHit {
  FileTime modified;
  std::string path;  // relative to the place
};

struct GlobHits {
  std::vector<GlobHit> newest;   // newest first, ties by path
  std::uint64_t total = 0;       // of all matching files
  std::uint64_t ignored = 0;     // matching files that were left out
  bool more_ignored = false;     // there may be more of those
  std::uint64_t unreadable = 0;  // directories, in which more may match
  bool rules_left_out = false;   // some of the files may be ignored
};

/// Finds the regular files below `place` that match, and the links that match and lead to one inside the
/// roots of `workspace`; keeps the `max_kept` newest. `named`: the pattern is
/// the name of one file, which counts even if ignored. Ends early, with what was found so far, when
/// `deadline` has passed.
GlobHits glob(const GlobPattern& pattern, bool named, const SearchPlace& place, const Workspace& workspace,
              const Deadline& deadline, std::size_t max_kept);

}  // namespace sandbox_worker::tools
