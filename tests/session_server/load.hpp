#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/session_server/session_state.hpp"

namespace session_server {

/// A generated session: many mixed calls, each with an answer that is known beforehand and an effect that
/// shows whether it ran once.
struct Load {
  std::size_t calls = 1000;
  std::vector<std::string> mix = {"bash", "write", "read", "edit", "glob", "grep"};
  std::size_t threads = 1;      // session threads that the calls are spread over
  std::size_t in_flight = 8;    // calls that may be open at once
  std::size_t cut_streams = 0;  // spread evenly over the session
  double post_503_percent = 0;
  std::uint64_t seed = 1;
};

struct LoadCall {
  NewCall call{};
  bool is_error = false;
  std::string contains{};
};

struct LoadPlan {
  std::vector<LoadCall> calls{};
  std::vector<std::string> ran{};  // lines that must be in `ran_file`, each once, in any order
};

/// Where each bash call of a load leaves its line, relative to the worker's folder.
inline constexpr std::string_view kRanFile = "load/ran.log";

/// The same seed gives the same plan. Calls of one thread depend on each other in their order and on no other
/// thread's, so a worker may run threads side by side.
LoadPlan plan_load(const Load& load);

}  // namespace session_server
