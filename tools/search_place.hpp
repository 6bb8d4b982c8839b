#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <expected>
#include <string>
#include <string_view>

#include "tools/ignore_files.hpp"
#include "tools/limits.hpp"
#include "tools/search_slots.hpp"
#include "tools/system_error.hpp"
#include "tools/unique_fd.hpp"

namespace sandbox_worker::tools {

class SpillStore;
class Workspace;

/// What glob and grep need from the one who makes them.
struct SearchOptions {
  const Workspace* workspace = nullptr;  // outlives the tool
  boost::asio::any_io_executor pool;     // a thread of it searches
  Limits limits;
  unsigned threads = 1;          // that one search may take, that one included
  std::string home;              // of the user whose git configuration counts; "" is none
  std::string xdg_config;        // XDG_CONFIG_HOME; "" is .config in `home`
  SpillStore* spill = nullptr;   // outlives the tool; null: what doesn't fit is only counted
  SearchSlots* slots = nullptr;  // outlives the tool; null: as many searches at once as the pool has threads
};

/// Where a search looks.
struct SearchPlace {
  UniqueFd fd;  // a directory, or a regular file at its beginning
  bool directory = true;
  std::string path;  // absolute, as results show it
  OuterScope outer;  // the rules above it
  unsigned threads = 1;

  /// `path` with what lies below it.
  std::string below(std::string_view relative) const;
};

/// Opens what an agent named. Only directories and regular files are opened at all: a FIFO or a device is an
/// error (EINVAL), never a wait.
std::expected<SearchPlace, PathError> open_search_place(const SearchOptions& options, std::string_view path);

}  // namespace sandbox_worker::tools
